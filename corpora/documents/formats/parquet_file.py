"""Parquet -> documents: the text column, and `url` and `timestamp` if the file has them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.documents.batches import FIRST_BYTES, BatchBuilder, DocumentBatch, Outcome
from corpora.documents.carried import CarriedColumn, fields_digest
from corpora.documents.formats.base import usual_columns
from corpora.documents.formats.fields import likely_text, timestamp_names, url_names
from corpora.documents.formats.parquet_columns import CarriedTable
from corpora.documents.formats.parquet_paths import field_of, paths, type_without, with_inner
from corpora.documents.formats.parquet_templates import made_texts, refuse_columns
from corpora.documents.item import WorkItem
from corpora.documents.opening import opened_file
from corpora.documents.source import Damage, unreadable
from corpora.documents.values import first_column, is_text, stored, strings, texts
from corpora.errors import BadArgument, TamizError

Names = tuple[str | None, ...]


class ParquetFile:
    """An open Parquet file. Bad content raises Damage; a failing disk or network raises TamizError."""

    def __init__(self, address: str, file: IO[bytes]) -> None:
        self._address, self._stream = address, file
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

    def types(self, usual: Sequence[str]) -> dict[str, pa.DataType]:
        """Name -> type of its columns, as they are stored again; the first of several with one name. Structs lack
        what `usual` names in them."""
        found: dict[str, Any] = {}
        for field in self._file.schema_arrow:
            found.setdefault(field.name, stored(field.type))
        for name, rest in self.inner(usual):
            found[name] = None if found[name] is None else type_without(found[name], rest)
        return {name: kind for name, kind in found.items() if kind is not None}

    def inner(self, usual: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Those of the names that are paths: the column and the rest of the path."""
        inside = [name.split(".") for name in usual if name not in self.names and self.has(name)]
        return [(path[0], path[1:]) for path in inside]

    def row_groups(self) -> list[tuple[int, int]]:
        """(rows, uncompressed bytes) of each row group."""
        groups = (self._file.metadata.row_group(g) for g in range(self._file.num_row_groups))
        return [(group.num_rows, group.total_byte_size) for group in groups]

    def groups(self, item: WorkItem) -> range:
        """The item's row groups: all of the file if it isn't split."""
        return range(item.start, item.end or self._file.num_row_groups)

    def refuse(self, item: WorkItem) -> None:
        """Raises BadArgument unless the item's text can be read from the file."""
        if item.row_text:
            refuse_columns(self._address, self._file.schema_arrow, item.row_text)
        else:
            self.refuse_column(item.text_column)

    def refuse_unseen(self, item: WorkItem) -> None:
        """Raises TamizError unless the file, now checked, has the columns that a look at a part of it showed."""
        if item.glimpsed not in (None, fields_digest(self.types(usual_columns(item)))):
            raise TamizError(
                f"{self._address} has other columns than a first look at it showed, which decided what the sample "
                "carries: something between here and the Hub changes what is sent: run it again, with --rebuild"
            )

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
        if not is_text(kind):
            raise BadArgument(f"{self._address}: column {name} is {kind}; it must be string")

    def tables(self, group: int, names: Sequence[str | None], batch_bytes: int) -> Iterator[pa.RecordBatch]:
        """Batches of about batch_bytes of one row group, with the columns among `names` that the file has."""
        metadata = self._file.metadata.row_group(group)
        rows = max(1, metadata.num_rows * batch_bytes // max(1, metadata.total_byte_size))
        rows = min(rows, max(1, metadata.num_rows))
        present = [name for name in dict.fromkeys(names) if name is not None and self.has(name)]
        done = 0
        try:
            for batch in self._file.iter_batches(rows, [group], present):
                yield with_inner(batch, present)
                done += batch.num_rows
        except pa.ArrowInvalid as error:
            if not _has_dictionary(self._file.schema_arrow, present):
                raise self._sort(error, f"in row group {group}") from error
            yield from self._plain_tables(group, present, rows, done)
        except Exception as error:
            raise self._sort(error, f"in row group {group}") from error

    def _plain_tables(self, group: int, names: list[str], rows: int, done: int) -> Iterator[pa.RecordBatch]:
        """As `tables` from row `done` on, but without dictionaries, which refuse all strings if one isn't UTF-8."""
        try:
            for batch in self._without_arrow_types().iter_batches(rows, [group], names):
                if done < batch.num_rows:
                    yield with_inner(batch.slice(done), names)
                done = max(0, done - batch.num_rows)
        except Exception as error:
            raise self._sort(error, f"in row group {group}") from error

    def _without_arrow_types(self) -> pq.ParquetFile:
        """The file, read with the types of Parquet itself: the key of Arrow's own schema in the footer is renamed."""
        self._stream.seek(-8, io.SEEK_END)
        length = int.from_bytes(self._stream.read(4), "little")
        self._stream.seek(-8 - length, io.SEEK_END)
        footer = self._stream.read(length).replace(b"ARROW:schema", b"other:schema")
        metadata = pq.read_metadata(io.BytesIO(b"PAR1" + footer + length.to_bytes(4, "little") + b"PAR1"))
        return pq.ParquetFile(self._stream, metadata=metadata, page_checksum_verification=True)

    def _sort(self, error: Exception, where: str) -> Exception:
        # Arrow raises plain OSErrors without errno for content that it can't decode
        content = isinstance(error, pa.ArrowException) or (type(error) is OSError and error.errno is None)
        detail = (str(error) or type(error).__name__).splitlines()[0]
        return Damage(f"bad parquet {where}: {detail}") if content else unreadable(self._address, error)


def _has_dictionary(schema: pa.Schema, names: Sequence[str]) -> bool:
    return any(pa.types.is_dictionary(field.type) for field in schema if field.name in names)


@contextlib.contextmanager
def opened(item: WorkItem) -> Iterator[ParquetFile]:
    """Raises Damage for a file without a readable footer, TamizError for one that can't be opened."""
    with opened_file(item) as file:
        yield ParquetFile(item.path, file)


def read_parquet(
    item: WorkItem, batch_bytes: int, columns: tuple[str, ...] | None, carry: Sequence[CarriedColumn] | None = None
) -> Iterator[DocumentBatch]:
    """Batches of the item's row groups. columns: extra ones beside text, url and timestamp; None: only the text.
    carry: what `DocumentBatch.carried` gives.

    Raises Damage after the last good batch, TamizError if reading itself fails.
    """
    with opened(item) as file:
        file.refuse(item)
        if carry is not None:
            file.refuse_unseen(item)
        names = _names(file, item, columns)
        row, inner = item.first, file.inner(usual_columns(item))
        wanted = [*item.text_columns, *names[1:], *(column.field for column in carry or ())]
        for group in file.groups(item):
            for table in file.tables(group, wanted, batch_bytes):
                batch = _documents(table, row, item, names)
                if carry is not None:
                    batch = replace(batch, carried=CarriedTable(table, batch.rows - row, carry, inner))
                yield batch
                row += table.num_rows


def _names(file: ParquetFile, item: WorkItem, columns: tuple[str, ...] | None) -> Names:
    if columns is None:
        return item.text_column, None, None
    return item.text_column, file.first_of(url_names(item)), file.first_of(timestamp_names(item)), *columns


def _documents(table: pa.RecordBatch, first_row: int, item: WorkItem, names: Names) -> DocumentBatch:
    """names: the columns of text, url and timestamp, then the extra ones."""
    text_column, *others = names
    builder = BatchBuilder(item.path, tuple(map(str, names[3:])))
    columns = [_strings(table, name) for name in others]
    if item.row_text:
        made = made_texts(table, item)
        for row, (one, *values) in enumerate(zip(made, *columns, strict=True), first_row):
            builder.add(row, one if isinstance(one, str) else (one.text, *values), b"")
        return builder.build(table.nbytes)
    found = first_column(table, str(text_column))
    lengths = _lengths(found, table.nbytes, item)
    for row, (text, *values) in enumerate(zip(texts(found), *columns, strict=True), first_row):
        length = lengths[row - first_row] if lengths else None
        fits = length is None or length <= item.max_document_bytes
        outcome: Outcome = _reason(str(text_column), text) or (text, *values)
        builder.add(row, outcome if fits else item.too_long(length or 0), _raw(text))
    return builder.build(table.nbytes)


def _lengths(texts: pa.Array[Any], table_bytes: int, item: WorkItem) -> list[int | None]:
    """The bytes of each text; nothing if none can be too long."""
    if table_bytes <= item.max_document_bytes or pa.types.is_null(texts.type):
        return []
    if pa.types.is_string_view(texts.type) or pa.types.is_binary_view(texts.type):
        texts = texts.cast(pa.large_binary())
    return list(pc.call_function("binary_length", [texts]).to_pylist())


def _strings(table: pa.RecordBatch, name: str | None) -> list[str | None]:
    column = None if name is None else first_column(table, name)
    return [None] * table.num_rows if column is None else strings(column)


def _reason(name: str, text: str | bytes | None) -> str | None:
    """Why a row isn't a document; None if it is one."""
    if text is None:
        return f"{name} null"
    if isinstance(text, bytes):
        return f"invalid UTF-8: in {name}"
    return None if text else f"{name} empty"


def _raw(text: str | bytes | None) -> bytes:
    if isinstance(text, str):
        return text[:FIRST_BYTES].encode()
    return text or b""
