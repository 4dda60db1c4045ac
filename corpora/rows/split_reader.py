"""Reads the rows of one split of shards, one Parquet row group at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.errors import BadArgument, DamagedFile
from corpora.rows import documents, pages
from corpora.rows.columns import DOCUMENT_IDS, DOCUMENT_STARTS
from corpora.tokens.facts import ShardFacts

Rows = dict[str, np.ndarray]
Column = tuple[tuple[int, ...], np.dtype[Any]]


class SplitReader:
    """The row groups of one split, in file order.

    files: (path, rows) of each file, below `folder`. group_files: the index of each group's file; group_rows: the
    number of its rows; columns: shape of a value and stored dtype. Columns of variable-length lists are left out;
    with_documents adds `document_ids` (see `documents`), made from one.
    Raises BadArgument for a split without rows, or without documents where they are wanted; DamagedFile for a file
    that is missing, isn't Parquet, or differs from the manifest.
    """

    def __init__(
        self,
        folder: Path,
        facts: ShardFacts,
        split: str,
        files: list[tuple[Path, int]],
        *,
        with_documents: bool = False,
    ) -> None:
        if not sum(rows for _, rows in files):
            known = ", ".join(f"{name} ({rows} rows)" for name, rows in sorted(facts.rows.items()))
            raise BadArgument(f"{folder} has no rows in split {split!r}; it has {known}")
        self._paths = [path for path, _ in files]
        self._names = [path.relative_to(folder).as_posix() for path in self._paths]
        self._footers = [_footer(path, rows) for path, rows in files]
        _require_one_schema(self._paths, self._footers)
        rows = [[m.row_group(g).num_rows for g in range(m.num_row_groups)] for m in self._footers]
        self.group_files = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        self.group_rows = np.array([n for r in rows for n in r], np.int64)
        self._first_group = np.searchsorted(self.group_files, np.arange(len(rows)))
        self._first_row = np.array([n for r in rows for n in itertools.accumulate([0, *r[:-1]])], np.int64)
        self.columns = _columns(self._paths[0], facts)
        self._list_columns = {name: pages.column_index(self._footers[0].schema, name) for name in self.columns}
        self._vocab_size = facts.vocab_size
        if with_documents:
            _require_documents(folder, self._paths[0], facts)
            width = facts.sequence_length
            self.columns[DOCUMENT_IDS] = (width,), documents.dtype(width)

    def read(self, groups: Sequence[int], memory: Rows) -> Rows:
        """The rows of some groups, given in ascending order: [rows, width] or [rows], in the stored dtype.

        They are written to `memory`; arrays that are too small or missing are replaced by larger ones.
        Raises DamagedFile if a group can't be read.
        """
        rows, reader, place = self._room(groups, memory), pages.PageReader(), 0
        for number, chosen in itertools.groupby(groups, lambda group: int(self.group_files[group])):
            path = self._paths[number]
            try:
                with path.open("rb") as file:
                    for group in chosen:
                        end = place + int(self.group_rows[group])
                        into = {name: whole[place:end] for name, whole in rows.items()}
                        self._read_group(reader, file, group, into)
                        place = end
            except (pa.ArrowException, OSError, ValueError) as error:
                raise DamagedFile(f"{path}: rows can't be read ({error}); build the shards again") from None
        return rows

    def _room(self, groups: Sequence[int], memory: Rows) -> Rows:
        total = int(self.group_rows[list(groups)].sum())
        for name, (shape, dtype) in self.columns.items():
            if name not in memory or len(memory[name]) < total:
                memory[name] = np.empty((total, *shape), dtype)
        return {name: whole[:total] for name, whole in memory.items()}

    def identity(self, group: int) -> tuple[str, int, int]:
        """What identifies a group's rows in any order: file, number of its first row in the file, number of rows."""
        return self._names[self.group_files[group]], int(self._first_row[group]), int(self.group_rows[group])

    def _read_group(self, reader: pages.PageReader, file: BinaryIO, group: int, out: Rows) -> None:
        number = int(self.group_files[group])
        inside, footer = group - int(self._first_group[number]), self._footers[number]
        left = []
        for name, values in out.items():
            if name == DOCUMENT_IDS:
                documents.read_documents(self._paths[number], footer, inside, values)
                continue
            index = self._list_columns[name]
            chunk = footer.row_group(inside).column(index) if index is not None else None
            if chunk is not None and pages.can_read(chunk, values.size):
                reader.read_ids(file, chunk, values.reshape(-1))
            else:
                left.append(name)
        if left:
            _read_by_arrow(self._paths[number], footer, inside, {name: out[name] for name in left})
        self._require_known_ids(group, out)

    def _require_known_ids(self, group: int, rows: Rows) -> None:
        """An id beyond the vocabulary would end a training inside a kernel."""
        for name in rows.keys() & {"input_ids", "labels"}:
            beyond = rows[name] >= self._vocab_size
            if beyond.any():
                row = int(beyond.any(axis=1).argmax())
                file, first, _ = self.identity(group)
                raise DamagedFile(
                    f"{file}: row {first + row} has id {rows[name][row].max()} in {name}, but the manifest says "
                    f"{self._vocab_size} ids; build the shards again"
                )


def _read_by_arrow(path: Path, footer: pq.FileMetaData, group: int, out: Rows) -> None:
    """The file isn't memory-mapped: that isn't faster, and a file truncated meanwhile would raise a signal.

    Raises ValueError for values of a different shape or dtype.
    """
    with pq.ParquetFile(path, metadata=footer, pre_buffer=False) as opened:
        table = opened.read_row_group(group, columns=list(out), use_threads=False)
    for name, wanted in out.items():
        values = _matrix(table.column(name))
        if (values.shape, values.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"{name} is {values.dtype}{list(values.shape)}, not {wanted.dtype}{list(wanted.shape)}")
        wanted[:] = values


def _footer(path: Path, rows: int) -> pq.FileMetaData:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{path} is missing or not a Parquet file ({error}); build the shards again") from None
    if footer.num_rows != rows:
        raise DamagedFile(f"{path} has {footer.num_rows} rows, but its manifest says {rows}; build the shards again")
    return footer


def _require_one_schema(paths: list[Path], footers: list[pq.FileMetaData]) -> None:
    for path, footer in zip(paths, footers, strict=True):
        if not footer.schema.equals(footers[0].schema):
            raise DamagedFile(f"{path} has different columns from {paths[0]}; build the shards again")


def _require_documents(folder: Path, path: Path, facts: ShardFacts) -> None:
    schema = pq.read_schema(path)
    if DOCUMENT_STARTS not in schema.names or facts.label_length is not None:
        raise BadArgument(
            f"{folder} holds {facts.objective} rows without {DOCUMENT_STARTS}, which model.document_masks needs: "
            "build shards with --objective causal, or set model.document_masks to false"
        )


def _columns(path: Path, facts: ShardFacts) -> dict[str, Column]:
    """The integer columns with a fixed number of values per row. Raises DamagedFile if the facts differ."""
    fields = {field.name: field.type for field in pq.read_schema(path)}
    columns = {name: _column(kind) for name, kind in fields.items() if _is_readable(kind)}
    for name, width in (("input_ids", facts.sequence_length), ("labels", facts.label_length)):
        if width is not None and (name not in columns or columns[name][0] != (width,)):
            stored = fields.get(name, "no such column")
            raise DamagedFile(
                f"{path}: {name} has {stored}, but its manifest says {width} ids; build the shards again"
            )
    return columns


def _is_readable(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind.value_type if pa.types.is_fixed_size_list(kind) else kind))


def _column(kind: Any) -> Column:
    if pa.types.is_fixed_size_list(kind):
        return (kind.list_size,), np.dtype(str(kind.value_type))
    return (), np.dtype(str(kind))  # to_pandas_dtype would import pandas


def _matrix(column: Any) -> np.ndarray:
    """A fixed-size list column as [rows, width]; a plain column as [rows]."""
    array = column.combine_chunks()
    if not pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.asarray(array.flatten().to_numpy()).reshape(-1, array.type.list_size)
