"""Comma-separated values below a header (RFC 4180), read by Python's csv module."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from corpora.documents.batches import BLANK, BatchBuilder, DocumentBatch, Outcome
from corpora.documents.carried import CarriedColumn
from corpora.documents.formats.base import Format
from corpora.documents.formats.carried_strings import carry_strings
from corpora.documents.formats.fields import timestamp_names, url_names
from corpora.documents.formats.lines import BOM, blocks
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.streams import LongLine
from corpora.errors import BadArgument, TamizError
from corpora.texts import has_utf8

if TYPE_CHECKING:
    import pyarrow as pa


class _TooLong(Exception):
    """The record that is being read has more bytes than allowed."""


class _Lines:
    """The lines of records, decoded, for csv.reader. A byte order mark at the start of a record is dropped.

    first: the first bytes of the record that is being read. length, quotes: its bytes, and how many are `"`.
    """

    def __init__(self, item: WorkItem, batch_bytes: int) -> None:
        self._item = item
        self._lines = self._read(batch_bytes)
        self.next_record()

    def next_record(self) -> None:
        self.first, self.length, self.quotes = b"", 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if not self.length:
            line = line if isinstance(line, LongLine) else line.removeprefix(BOM)
            self.first = line.first if isinstance(line, LongLine) else line[:64]
        self._count(line)
        if isinstance(line, LongLine) or self.length > self._item.max_document_bytes:
            raise _TooLong
        return line.decode("utf-8", "surrogateescape") + "\n"

    def skip_record(self) -> None:
        """Moves past the record: a line that ends inside quotes continues on the next."""
        while self.quotes % 2 and (line := next(self._lines, None)) is not None:
            self._count(line)

    def _count(self, line: bytes | LongLine) -> None:
        self.length += 1 + (line.length if isinstance(line, LongLine) else len(line))
        self.quotes += line.quotes if isinstance(line, LongLine) else line.count(b'"')

    def _read(self, batch_bytes: int) -> Iterator[bytes | LongLine]:
        for block in blocks(self._item, batch_bytes):
            if isinstance(block, LongLine):
                yield block
            else:
                yield from block.removesuffix(b"\n").split(b"\n")


class Csv(Format):
    """`.csv`. Rows are numbered from 0, after the header; a row's line breaks and commas are quoted.

    A value beyond the header's columns has no name: its row is rejected, as the text may have an unquoted comma.
    """

    name = "csv"
    extensions = (".csv",)

    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        return self._batches(item, batch_bytes, len(columns), columns)

    def carrying(
        self, item: WorkItem, batch_bytes: int, carry: Sequence[CarriedColumn], columns: tuple[str, ...] = ()
    ) -> Iterator[DocumentBatch]:
        """A value that isn't UTF-8 is null where it is only carried."""
        read = partial(self._batches, item, batch_bytes, len(columns))
        return carry_strings(read, self.fields(item), carry, columns)

    def _batches(
        self, item: WorkItem, batch_bytes: int, strict: int, columns: tuple[str, ...]
    ) -> Iterator[DocumentBatch]:
        """strict: the number of columns, the first ones, that reject a row if they aren't UTF-8."""
        lines = _Lines(item, batch_bytes)
        header = _header(item, lines) or []
        url, timestamp = (
            next((name for name in names if name in header), names[0])
            for names in (url_names(item), timestamp_names(item))
        )
        names = [item.text_column, url, timestamp, *columns]
        places = [header.index(name) if name in header else None for name in names]
        builder, read = BatchBuilder(item.path, columns), 0
        try:
            outcomes = _outcomes(item, lines, len(header), places, names[: 3 + strict])
            for row, outcome in enumerate(outcomes, item.first):
                builder.add(row, outcome, lines.first)
                read += lines.length
                if read >= batch_bytes:
                    yield builder.build(read)
                    builder, read = BatchBuilder(item.path, columns), 0
        except Damage as damage:
            yield builder.build(read)
            raise Damage(f"{damage}; an incomplete last record may be dropped too") from damage
        yield builder.build(read)

    def columns(self, item: WorkItem) -> Sequence[str] | None:
        """The header; None if the file can't be read or is empty: reading it reports what is wrong."""
        try:
            return _header(item, _Lines(item, 1))
        except BadArgument:
            raise
        except (Damage, TamizError):
            return None

    def fields(self, item: WorkItem) -> Mapping[str, pa.DataType]:
        import pyarrow as pa

        return dict.fromkeys(self.columns(item) or () if item.size != 0 else (), pa.string())

    def check(self, item: WorkItem) -> None:
        super().check(item)
        header = self.columns(item) if item.size != 0 else None
        if header is not None and item.text_column not in header:
            raise BadArgument(
                f"{item.path} has no column {item.text_column}; its first line has {', '.join(header)[:200]}: "
                "name the one that holds the text with --text-column"
            )


def _outcomes(
    item: WorkItem, lines: _Lines, width: int, places: list[int | None], names: list[str]
) -> Iterator[Outcome]:
    """The document of each record, or the reason why it isn't one.

    width: the header's columns. names: of the columns that must be UTF-8.
    """
    while True:
        lines.next_record()
        try:
            fields = next(csv.reader(lines), None)
        except _TooLong:
            lines.skip_record()
            yield item.too_long(lines.length - 1)
            continue
        except csv.Error as error:
            yield f"not CSV: {error}"
            continue
        if fields is None:
            return
        if any(fields[width:]):
            yield f"not CSV: {len(fields)} values, but the header has {width}"
        else:
            yield _outcome(fields, places, names) if fields else BLANK


def _header(item: WorkItem, lines: _Lines) -> list[str] | None:
    """The names of the columns; None if the file is empty. Pandas leaves the name of the index empty.

    Raises BadArgument for a header that can't be read.
    """
    csv.field_size_limit(sys.maxsize)  # _Lines bounds records
    try:
        header = next(csv.reader(lines), None)
    except _TooLong:
        reason = f"{item.too_long(lines.length - 1)}; raise --max-document-bytes"
        raise BadArgument(f"{item.path}: its header is {reason}") from None
    except csv.Error as error:
        raise BadArgument(f"{item.path}: its header is not CSV ({error}): mend its first line") from None
    if header is None:
        return None
    return [name or f"column_{place}" for place, name in enumerate(header, 1)]


def _outcome(fields: list[str], places: list[int | None], names: list[str]) -> Outcome:
    values = [fields[place] if place is not None and place < len(fields) else None for place in places]
    for name, value in zip(names, values, strict=False):
        if value and not has_utf8(value):
            return f"invalid UTF-8: in {name}"
    carried = slice(len(names), None)
    values[carried] = [value if value is None or has_utf8(value) else None for value in values[carried]]
    if values[0] is None:
        return f"{names[0]} missing"
    return tuple(values) if values[0] else f"{names[0]} empty"


CSV = Csv()
