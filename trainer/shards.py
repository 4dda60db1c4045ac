"""Reads packed shards: what the manifest says of them, and their rows, one Parquet row group at a time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora import manifest
from corpora.errors import BadArgument, DamagedFile

Rows = dict[str, np.ndarray]
COLUMNS = ("input_ids", "labels", "num_tokens")


class ShardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What training must know of shards. Facts that it doesn't need may be there as well.

    label_length: ids in a row's labels; None for causal rows. rows: by split.
    target_unigram_entropy_nats: entropy of the targets' ids, the loss of a model that knows only their frequencies.
    """

    tokenizer_sha256: str
    vocab_size: int
    objective: Literal["span-corruption", "causal", "ul2"]
    sequence_length: int
    label_length: int | None = None
    pad_id: int
    eos_id: int
    rows: dict[str, int]
    target_unigram_entropy_nats: float | None = None


class Shards(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of shards. fingerprint: of their making and of every file's bytes, wherever the folder lies."""

    folder: Path
    fingerprint: str
    facts: ShardFacts
    files: dict[str, list[tuple[Path, int]]]


def read_facts(path: str | Path) -> ShardFacts:
    """The facts of finished shards. Raises DamagedFile where the manifest is missing, unfinished or lacks one."""
    return read_shards(path).facts


def read_shards(path: str | Path) -> Shards:
    """Facts and files of finished shards; no row is read. Raises DamagedFile as `read_facts` does."""
    folder = Path(path)
    made = manifest.read_finished(folder, "shards")
    try:
        facts = msgspec.convert(made.facts, ShardFacts)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"{folder}/{manifest.NAME}: facts: {error}; build the shards again") from None
    message = [made.fingerprint, sorted((f.path, f.sha256) for f in made.files)]
    return Shards(
        folder=folder,
        fingerprint=hashlib.sha256(json.dumps(message).encode()).hexdigest()[:32],
        facts=facts,
        files=_by_split(folder, made.files),
    )


def _by_split(folder: Path, records: list[manifest.FileRecord]) -> dict[str, list[tuple[Path, int]]]:
    found: dict[str, list[tuple[Path, int]]] = {}
    for record in sorted(records, key=lambda r: r.path):
        if record.path.endswith(".parquet"):
            split = record.path.split("/")[0]
            found.setdefault(split, []).append((folder / record.path, record.rows or 0))
    return found


class SplitReader:
    """The row groups of one split, in file order.

    group_rows: rows of each group. Raises BadArgument for a split without rows, DamagedFile for a file that is
    missing, is no Parquet file or holds another number of rows than the manifest says.
    """

    def __init__(self, shards: Shards, split: str) -> None:
        files = shards.files.get(split, [])
        if not sum(rows for _, rows in files):
            known = ", ".join(f"{name} ({rows} rows)" for name, rows in sorted(shards.facts.rows.items()))
            raise BadArgument(f"{shards.folder} has no rows in split {split!r}; it has {known}")
        self._groups = [(path, group) for path, rows in files for group in range(_num_groups(path, rows))]
        self.group_rows = [_metadata(path).row_group(group).num_rows for path, group in self._groups]

    def read(self, group: int) -> Rows:
        """Columns of one row group: [rows, width] in the stored dtype, `num_tokens` [rows]."""
        path, index = self._groups[group]
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                names = [name for name in COLUMNS if name in file.schema_arrow.names]
                table = file.read_row_group(index, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise DamagedFile(f"{path}: row group {index} can't be read ({error}); build the shards again") from None
        return {name: _matrix(table.column(name)) for name in names}


def _metadata(path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{path} is missing or not a Parquet file ({error}); build the shards again") from None


def _num_groups(path: Path, rows: int) -> int:
    metadata = _metadata(path)
    if metadata.num_rows != rows:
        raise DamagedFile(f"{path} has {metadata.num_rows} rows, its manifest says {rows}; build the shards again")
    return int(metadata.num_row_groups)


def _matrix(column: Any) -> np.ndarray:
    """A fixed-size list column as [rows, width]; a plain one as [rows]."""
    array = column.combine_chunks()
    if not pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.asarray(array.flatten().to_numpy()).reshape(len(array), array.type.list_size)
