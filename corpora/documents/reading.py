"""A work item -> batches of documents: every row once, in order, as a document or as a rejected row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from corpora.documents.batches import BatchBuilder, DocumentBatch, RejectedRow, TextBatch
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.streams import blocks_of_lines, pieces
from corpora.texts import utf8

__all__ = ["BATCH_BYTES", "DocumentBatch", "RejectedRow", "TextBatch", "read_batches", "read_texts"]

BATCH_BYTES = 4 << 20
_BOM = b"\xef\xbb\xbf"

Batch = TypeVar("Batch", DocumentBatch, TextBatch)
Parser = Callable[[bytes, int], Batch]


def read_batches(
    item: WorkItem, *, batch_bytes: int = BATCH_BYTES, columns: tuple[str, ...] = ()
) -> Iterator[DocumentBatch]:
    """Batches of about batch_bytes of input each, whose rows together are the item's rows, each once, in order.

    How the rows fall into batches depends on batch_bytes; what becomes of each row doesn't.

    Documents: text is a string that isn't empty (white space alone is text). url, timestamp and `columns` are
    strings or None; a value of another type becomes its JSON text, a missing field None. A byte order mark at the
    file's start is dropped. A line ends at \\n (in .txt and .tsv also \\r\\n). Kinds of rejected rows: not JSON,
    not an object, text missing | null | not a string | empty, invalid UTF-8, lone surrogate, no tab, blank line.

    A damaged file yields the rows before the damage, then a last batch without rows whose `damage` says what and
    where; where a checksum at the end of a stream is wrong, some of those rows may be altered. Raises TamizError if
    the file can't be read at all, BadArgument if a Parquet file has no text column.
    """
    try:
        if item.size:  # an empty file is a legal file of any format
            yield from _batches(item, batch_bytes, columns)
    except Damage as damage:
        yield BatchBuilder(item.path, columns).build(0, str(damage))


def read_texts(item: WorkItem, *, batch_bytes: int = BATCH_BYTES) -> Iterator[TextBatch]:
    """As `read_batches`, where only the texts are wanted: of JSON lines without an object for each, so faster."""
    if item.format != "jsonl" or not item.size:
        yield from map(TextBatch.of, read_batches(item, batch_bytes=batch_bytes))
        return
    from corpora.documents.json_texts import JsonTexts

    try:
        yield from _of_lines(item, batch_bytes, JsonTexts(item.path))
    except Damage as damage:
        yield TextBatch(utf8([]), [], 0, str(damage))


def _batches(item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
    if item.format == "parquet":
        from corpora.documents.parquet import read_parquet

        yield from read_parquet(item, batch_bytes, columns)
        return
    yield from _of_lines(item, batch_bytes, _parser(item, columns))


def _of_lines(item: WorkItem, batch_bytes: int, parse: Parser[Batch]) -> Iterator[Batch]:
    row = item.first_row
    for number, block in enumerate(blocks_of_lines(pieces(item), batch_bytes)):
        found = parse(block.removeprefix(_BOM) if item.start == number == 0 else block, row)
        row += found.total
        yield found


def _parser(item: WorkItem, columns: tuple[str, ...]) -> Parser[DocumentBatch]:
    if item.format == "jsonl":
        from corpora.documents.jsonl import JsonlParser

        return JsonlParser(item.path, columns)
    from corpora.documents.plain import PlainParser

    return PlainParser(item.path, columns, tsv=item.format == "tsv")
