"""Reads packed shards: what the manifest says of them, and their rows, one Parquet row group at a time."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora import manifest
from corpora.errors import BadArgument, DamagedFile
from trainer import order

Rows = dict[str, np.ndarray]
Column = tuple[tuple[int, ...], np.dtype[Any]]
COLUMNS = ("input_ids", "labels", "num_tokens", "denoiser")


class SentinelIds(msgspec.Struct, frozen=True, kw_only=True):
    """Sentinel k has the id first + k * step."""

    first: int
    step: int
    count: int


class ShardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What training must know of shards. Facts that it doesn't need may be there as well.

    label_length: ids in a row's labels; None for causal rows. rows: by split.
    window_groups: row groups that are shuffled together.
    target_unigram_entropy_nats: entropy of the targets' ids, the loss of a model that knows only their frequencies.
    """

    tokenizer_sha256: str
    vocab_size: int
    objective: Literal["span-corruption", "causal", "ul2"]
    sequence_length: int
    label_length: int | None = None
    pad_id: int
    eos_id: int
    sentinel_ids: SentinelIds | None = None
    window_groups: int = order.WINDOW_GROUPS
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

    group_files: the number of each group's file; group_rows: its rows; columns: shape of a value and stored dtype.
    Raises BadArgument for a split without rows, DamagedFile for a file that is missing, is no Parquet file, or is not
    what the manifest says.
    """

    def __init__(self, shards: Shards, split: str) -> None:
        files = shards.files.get(split, [])
        if not sum(rows for _, rows in files):
            known = ", ".join(f"{name} ({rows} rows)" for name, rows in sorted(shards.facts.rows.items()))
            raise BadArgument(f"{shards.folder} has no rows in split {split!r}; it has {known}")
        self._paths = [path for path, _ in files]
        self._names = [path.relative_to(shards.folder).as_posix() for path in self._paths]
        self._footers = [_footer(path, rows) for path, rows in files]
        _require_one_schema(self._paths, self._footers)
        rows = [[m.row_group(g).num_rows for g in range(m.num_row_groups)] for m in self._footers]
        self.group_files = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        self.group_rows = np.array([n for r in rows for n in r], np.int64)
        self._first_group = np.searchsorted(self.group_files, np.arange(len(rows)))
        self._first_row = np.array([n for r in rows for n in itertools.accumulate([0, *r[:-1]])], np.int64)
        self.columns = _columns(self._paths[0], shards.facts)

    def read(self, groups: Sequence[int]) -> Rows:
        """The rows of some groups, given in ascending order: [rows, width] or [rows], in the stored dtype."""
        ends = np.cumsum(self.group_rows[list(groups)])
        rows = {name: np.empty((ends[-1], *shape), dtype) for name, (shape, dtype) in self.columns.items()}
        place = 0
        for file, chosen in itertools.groupby(groups, lambda group: int(self.group_files[group])):
            for table in self._tables(file, [group - int(self._first_group[file]) for group in chosen]):
                for name, whole in rows.items():
                    whole[place : place + len(table)] = self._values(file, name, table)
                place += len(table)
        return rows

    def identity(self, group: int) -> tuple[str, int, int]:
        """What a group's rows are, whatever the order: their file, the first one's number there, their count."""
        return self._names[self.group_files[group]], int(self._first_row[group]), int(self.group_rows[group])

    def _tables(self, file: int, groups: list[int]) -> Iterator[pa.Table]:
        """Row groups of one file. Not mapped: that is no faster, and a file cut short meanwhile would be a signal."""
        path = self._paths[file]
        try:
            with pq.ParquetFile(path, metadata=self._footers[file], pre_buffer=False) as opened:
                for group in groups:
                    yield opened.read_row_group(group, columns=list(self.columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DamagedFile(f"{path}: a row group can't be read ({error}); build the shards again") from None

    def _values(self, file: int, name: str, table: pa.Table) -> np.ndarray:
        shape, dtype = self.columns[name]
        if name in table.column_names:
            values = _matrix(table.column(name))
            if values.shape == (len(table), *shape) and values.dtype == dtype:
                return values
        raise DamagedFile(
            f"{self._paths[file]}: column {name!r} is not {dtype}{list(shape)} a row, as in {self._paths[0]}; "
            "build the shards again"
        )


def _footer(path: Path, rows: int) -> pq.FileMetaData:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{path} is missing or not a Parquet file ({error}); build the shards again") from None
    if footer.num_rows != rows:
        raise DamagedFile(f"{path} has {footer.num_rows} rows, its manifest says {rows}; build the shards again")
    return footer


def _require_one_schema(paths: list[Path], footers: list[pq.FileMetaData]) -> None:
    for path, footer in zip(paths, footers, strict=True):
        if not footer.schema.equals(footers[0].schema):
            raise DamagedFile(f"{path} has other columns than {paths[0]}; build the shards again")


def _columns(path: Path, facts: ShardFacts) -> dict[str, Column]:
    """The columns that training reads, held to the facts."""
    fields = {field.name: field.type for field in pq.read_schema(path)}
    found = {name: _column(fields[name]) for name in COLUMNS if name in fields}
    for name, width in (("input_ids", facts.sequence_length), ("labels", facts.label_length)):
        if width is not None and (name not in found or found[name][0] != (width,)):
            stored = fields.get(name, "no such column")
            raise DamagedFile(f"{path}: {name} has {stored}, its manifest says {width} ids; build the shards again")
    return found


def _column(kind: Any) -> Column:
    if pa.types.is_fixed_size_list(kind):
        return (kind.list_size,), np.dtype(kind.value_type.to_pandas_dtype())
    return (), np.dtype(kind.to_pandas_dtype())


def _matrix(column: Any) -> np.ndarray:
    """A fixed-size list column as [rows, width]; a plain one as [rows]."""
    array = column.combine_chunks()
    if not pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.asarray(array.flatten().to_numpy()).reshape(-1, array.type.list_size)
