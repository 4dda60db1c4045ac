"""Reads one row of finished shards by its number: only one row group is read, never a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET

from corpora import manifest
from corpora.copies import local_tokenizer
from corpora.encoding import Encoder, load_encoder
from corpora.errors import BadArgument, DamagedFile
from corpora.home import Home, Place, source
from corpora.tokens.facts import SentinelIds, ShardFacts
from corpora.tokens.readable import Vocabulary
from corpora.tokens.row_views import Row, Value

LISTS = ("input_ids", "labels", "document_starts")


def read_row(folder: Place, content: manifest.Manifest, split: str, number: int) -> Row:
    """Row `number` of a split, from 0 in the order of its files.

    Raises BadArgument if there is no such split or row, DamagedFile if its file differs from the manifest.
    """
    files = [(r.path, r.rows or 0) for r in sorted(content.files, key=lambda r: r.path) if _is_shard(r.path)]
    rows: dict[str, int] = {}
    for path, count in files:
        rows[path.split("/")[0]] = rows.get(path.split("/")[0], 0) + count
    if not rows.get(split):
        listed = ", ".join(f"{name} ({count:,} rows)" for name, count in rows.items()) or "no rows at all"
        raise BadArgument(f"{folder} has no rows in split {split!r}; it has {listed}")
    if not 0 <= number < rows[split]:
        raise BadArgument(f"row is {number}, but split {split} has {rows[split]:,} rows: 0 to {rows[split] - 1}")
    left = number
    for path, count in files:
        if path.startswith(f"{split}/"):
            if left < count:
                return _from_file(folder, path, count, left)._replace(number=number, rows=rows[split])
            left -= count
    raise AssertionError("the rows of a split are those of its files")


def _is_shard(path: str) -> bool:
    return path.endswith(".parquet") and "/" in path


def _from_file(folder: Place, path: str, rows: int, place: int) -> Row:
    import pyarrow as pa
    import pyarrow.parquet as pq

    at = Home.of(folder).at(path)
    try:
        with pq.ParquetFile(source(at)) as file:
            if file.metadata.num_rows != rows:
                raise DamagedFile(
                    f"{at} has {file.metadata.num_rows} rows, but its manifest says {rows}; build the shards again"
                )
            groups, group = file.metadata.num_row_groups, 0
            while place >= file.metadata.row_group(group).num_rows:
                place -= file.metadata.row_group(group).num_rows
                group += 1
            table = file.read_row_group(group, use_threads=False).slice(place, 1)
        columns = {name: _value(name, table.column(name)[0].as_py()) for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(f"{at} can't be read ({error}); build the shards again") from None
    return Row(place, rows, path, group, groups, place, columns)


def _value(name: str, stored: Any) -> Value:
    """Raises ValueError for anything but an integer or a list of integers, and for an integer instead of ids."""
    if isinstance(stored, list) and all(isinstance(number, int) for number in stored):
        return np.array(stored, np.int64)
    if isinstance(stored, int) and name not in LISTS:
        return stored
    raise ValueError(f"column {name} holds {str(stored)[:40]}")


class FoundTokenizer(NamedTuple):
    """The tokenizer that the shards were built with, or None. note: its name, or why it wasn't found."""

    encoder: Encoder | None
    note: str


def find_tokenizer(folder: Place, facts: ShardFacts, given: str | None) -> FoundTokenizer:
    """The `given` tokenizer; otherwise byt5 or the folder `tokenizer` beside the shards, if they were built with it.

    Raises BadArgument if the given tokenizer is a different one.
    """
    wanted = facts.tokenizer_sha256
    if given is not None:
        encoder = load_encoder(local_tokenizer(given))
        if encoder.sha256 != wanted:
            raise BadArgument(
                f"{given} (sha256 {encoder.sha256[:12]}) is not the tokenizer of {folder} ({wanted[:12]}): "
                "name the one that built the shards"
            )
        return FoundTokenizer(encoder, given)
    if (encoder := load_encoder("byt5")).sha256 == wanted:
        return FoundTokenizer(encoder, "byt5")
    home = Home.of(folder)
    beside = f"{home.folder.absolute() if home.is_local else home}".rpartition("/")[0]
    return _beside(f"{beside}/tokenizer", wanted)


def _beside(path: str, wanted: str) -> FoundTokenizer:
    try:
        encoder = load_encoder(local_tokenizer(path))
        if encoder.sha256 == wanted:
            return FoundTokenizer(encoder, path)
        why = f"{path} (sha256 {encoder.sha256[:12]}) is not the tokenizer of the shards ({wanted[:12]})"
    except (BadArgument, DamagedFile) as error:
        why = str(error) if Home.of(path).is_folder() else f"there is no {path}"
    return FoundTokenizer(None, f"{why}: showing ids; name the tokenizer with --tokenizer")


def vocabulary(facts: ShardFacts, encoder: Encoder | None) -> Vocabulary:
    """The ids that aren't text: from the manifest, and where it lacks them, from the encoder."""
    bos_id = facts.bos_id if facts.bos_id is not UNSET else encoder.bos_id if encoder else None
    special = {facts.pad_id, facts.eos_id, bos_id, encoder.unk_id if encoder else None} - {None}
    return Vocabulary(
        pad_id=facts.pad_id,
        eos_id=facts.eos_id,
        bos_id=bos_id,
        unk_id=encoder.unk_id if encoder else None,
        sentinels=_sentinels(facts.sentinel_ids, encoder),
        pieces={token: encoder.id_to_piece(token) for token in special if token is not None} if encoder else {},
    )


def _sentinels(ids: SentinelIds | None, encoder: Encoder | None) -> Sequence[int]:
    if ids is not None:
        return [ids.first + k * ids.step for k in range(ids.count)]
    return [encoder.sentinel_id(k) for k in range(encoder.num_sentinels)] if encoder else []
