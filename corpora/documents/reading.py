"""A work item -> batches of documents: every row once, in order, as a document or as a rejected row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from corpora.documents.batches import BatchBuilder, DocumentBatch, RejectedRow, TextBatch
from corpora.documents.carried import CarriedColumn
from corpora.documents.formats import FORMATS
from corpora.documents.item import WorkItem
from corpora.documents.row_numbers import located
from corpora.documents.source import Damage
from corpora.texts import utf8

__all__ = ["BATCH_BYTES", "DocumentBatch", "RejectedRow", "TextBatch", "read_batches", "read_carrying", "read_texts"]

BATCH_BYTES = 4 << 20


def read_batches(
    item: WorkItem, *, batch_bytes: int = BATCH_BYTES, columns: tuple[str, ...] = ()
) -> Iterator[DocumentBatch]:
    """Batches of about batch_bytes of input each. Together they hold every row of the item once, in order.

    batch_bytes decides how rows are grouped into batches, not what becomes of a row.

    Documents: the text is a string that isn't empty (white space alone is text). url, timestamp and `columns` are
    strings or None; a value of another type becomes its JSON text, a missing field None. If the item names no column
    for url or timestamp, they are the first string under the names in `formats.fields`. A byte order mark at the
    start of a line is dropped. A line ends at \\n (in .txt and .tsv also \\r\\n). Kinds of rejected rows: not JSON,
    not an object, TEXT_COLUMN missing | null | not a string | empty, invalid UTF-8, lone surrogate, no tab, not CSV,
    too long (than item.max_document_bytes), blank line, and the kinds that added formats define.

    A damaged file yields the rows before the damage, then a last batch without rows whose `damage` says what is
    wrong and where. If a checksum at the end of a stream is wrong, some of those rows may be corrupt. Raises
    TamizError if the file can't be read at all, BadArgument if a Parquet file has no text column.
    """
    try:
        if item.size != 0:  # an empty file is valid in any format; one of unknown size (None) is read to its end
            yield from FORMATS.get(item.format).batches(located(item), batch_bytes, columns)
    except Damage as damage:
        yield BatchBuilder(item.path, columns).build(0, str(damage))


def read_carrying(
    item: WorkItem,
    carry: Sequence[CarriedColumn],
    *,
    batch_bytes: int = BATCH_BYTES,
    columns: tuple[str, ...] = (),
) -> Iterator[DocumentBatch]:
    """As `read_batches`; each batch's `carried` gives the columns `carry`, or is None if the format has none."""
    try:
        if item.size != 0:
            yield from FORMATS.get(item.format).carrying(located(item), batch_bytes, carry, columns)
    except Damage as damage:
        yield BatchBuilder(item.path, columns).build(0, str(damage))


def read_texts(item: WorkItem, *, batch_bytes: int = BATCH_BYTES) -> Iterator[TextBatch]:
    """As `read_batches`, for callers that need only the texts. Faster for JSON lines: no object is made per line."""
    try:
        if item.size != 0:
            yield from FORMATS.get(item.format).texts(located(item), batch_bytes)
    except Damage as damage:
        yield TextBatch(np.empty(0, np.int32), utf8([]), [], 0, str(damage))
