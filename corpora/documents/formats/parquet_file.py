"""Parquet -> documents: the text column, and `url` and `timestamp` if the file has them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.documents.batches import BatchBuilder, DocumentBatch, Outcome
from corpora.documents.formats.fields import likely_text, timestamp_names, url_names
from corpora.documents.formats.parquet_paths import field_of, paths, with_inner
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage, unreadable
from corpora.errors import BadArgument
from corpora.files import open_binary


class ParquetFile:
    """An open Parquet file. Bad content raises Damage; a failing disk or network raises TamizError."""

    def __init__(self, address: str, file: IO[bytes]) -> None:
        self._address = address
        try:
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
        except Exception as error:
            raise self._sort(error, "in its footer") from error

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return list(self._file.schema_arrow.names)

    @property
    def paths(self) -> list[str]:
        """The names of its columns, those inside structs by their paths."""
        return list(paths(self._file.schema_arrow))

    def has(self, name: str) -> bool:
        """Whether `name` is a column, or the path to one inside structs."""
        return field_of(self._file.schema_arrow, name) is not None

    def first_of(self, names: tuple[str, ...]) -> str:
        """The first of several names that the file has, or else the first."""
        return next(filter(self.has, names), names[0])

    def row_groups(self) -> list[tuple[int, int]]:
        """(rows, uncompressed bytes) of each row group."""
        groups = (self._file.metadata.row_group(g) for g in range(self._file.num_row_groups))
        return [(group.num_rows, group.total_byte_size) for group in groups]

    def refuse_column(self, name: str) -> None:
        """Raises BadArgument unless `name` is a column of strings (or of bytes, which are then read as UTF-8)."""
        field = field_of(self._file.schema_arrow, name)
        if field is None:
            columns = list(paths(self._file.schema_arrow))
            raise BadArgument(
                f"{self._address} has no column {name}; its columns are {', '.join(columns)}: "
                f"name the one that holds the text with --text-column {likely_text(columns) or 'NAME'}"
            )
        kind = field.type
        if not _is_text(kind):
            raise BadArgument(f"{self._address}: column {name} is {kind}; it must be string")

    def tables(self, group: int, names: tuple[str, ...], batch_bytes: int) -> Iterator[pa.RecordBatch]:
        """Batches of about batch_bytes of one row group, with the columns among `names` that the file has."""
        metadata = self._file.metadata.row_group(group)
        rows = max(1, metadata.num_rows * batch_bytes // max(1, metadata.total_byte_size))
        present = [name for name in dict.fromkeys(names) if self.has(name)]
        try:
            for batch in self._file.iter_batches(min(rows, max(1, metadata.num_rows)), [group], present):
                yield with_inner(batch, present)
        except Exception as error:
            raise self._sort(error, f"in row group {group}") from error

    def _sort(self, error: Exception, where: str) -> Exception:
        # Arrow raises plain OSErrors without errno for content that it can't decode
        content = isinstance(error, pa.ArrowException) or (type(error) is OSError and error.errno is None)
        detail = (str(error) or type(error).__name__).splitlines()[0]
        return Damage(f"bad parquet {where}: {detail}") if content else unreadable(self._address, error)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return any(test(kind) for test in tests)


@contextlib.contextmanager
def opened(address: str) -> Iterator[ParquetFile]:
    """Raises Damage for a file without a readable footer, TamizError for one that can't be opened."""
    try:
        file = open_binary(address)
    except Exception as error:  # every file system raises its own exceptions
        raise unreadable(address, error) from error
    with file:
        yield ParquetFile(address, file)


def read_parquet(item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
    """Batches of the item's row groups. Raises Damage after the last good one, TamizError if reading itself fails."""
    with opened(item.path) as file:
        url, timestamp = file.first_of(url_names(item)), file.first_of(timestamp_names(item))
        names = (item.text_column, url, timestamp, *columns)
        file.refuse_column(item.text_column)
        row = item.first_row
        for group in range(item.start, item.end):
            for table in file.tables(group, names, batch_bytes):
                yield _documents(table, row, item, names)
                row += table.num_rows


def _documents(table: pa.RecordBatch, first_row: int, item: WorkItem, names: tuple[str, ...]) -> DocumentBatch:
    """names: the columns of text, url and timestamp, then the extra ones."""
    missing = [None] * table.num_rows
    values = [_values(table.column(name)) if name in table.schema.names else missing for name in names]
    builder = BatchBuilder(item.path, names[3:])
    lengths = _lengths(table, item)
    for row, fields in enumerate(zip(*values, strict=True), first_row):
        length = lengths[row - first_row] if lengths else None
        fits = length is None or length <= item.max_document_bytes
        builder.add(row, _outcome(names, fields) if fits else item.too_long(length or 0), _raw(fields[0]))
    return builder.build(table.nbytes)


def _lengths(table: pa.RecordBatch, item: WorkItem) -> list[int | None]:
    """The bytes of each text; nothing if none can be too long."""
    if table.nbytes <= item.max_document_bytes:
        return []
    column: Any = table.column(item.text_column)
    lengths: Any = pc.binary_length(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    return list(lengths.to_pylist())


def _values(column: Any) -> list[Any]:
    """Python values of a pa.Array; all of its strings as bytes if one of them isn't UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        return list(column.cast(binary).to_pylist())


def _outcome(names: tuple[str, ...], fields: tuple[Any, ...]) -> Outcome:
    if fields[0] is None:
        return f"{names[0]} null"
    strings: list[str | None] = []
    for name, value in zip(names, fields, strict=True):
        try:
            strings.append(_as_string(value))
        except UnicodeDecodeError:
            return f"invalid UTF-8: in {name}"
    return tuple(strings) if strings[0] else f"{names[0]} empty"


def _as_string(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, list, dict)) else str(value)


def _raw(value: object) -> bytes:
    if isinstance(value, str):
        return value[:64].encode()
    return value if isinstance(value, bytes) else b""
