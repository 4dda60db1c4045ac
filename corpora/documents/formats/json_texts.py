"""One JSON object a line -> only the texts: plain blocks by kernels, all others by JsonlParser."""

from __future__ import annotations

import numpy as np

from corpora.documents.batches import RejectedRow, TextBatch
from corpora.documents.formats.json_kernels import SLACK, read_field
from corpora.documents.formats.json_parser import JsonlParser
from corpora.documents.formats.lines import BOM
from corpora.documents.formats.utf8_kernels import is_utf8
from corpora.documents.item import TEXT
from corpora.texts import Utf8, utf8

_SHORTEST = len('{"":"."}')  # the shortest object, without the field's name


class JsonTexts:
    """Lines -> TextBatch. Each line has the same outcome as with JsonlParser."""

    def __init__(self, parser: JsonlParser, text_column: str) -> None:
        self._column = text_column
        self._parser = parser

    def __call__(self, block: bytes, first_row: int) -> TextBatch:
        """`block` holds whole lines; the last may lack its newline."""
        texts = plain_texts(block.removeprefix(BOM), self._column)
        if texts is None:
            return TextBatch.of(self._parser(block, first_row))
        rows = np.arange(first_row, first_row + len(texts), dtype=np.int32)
        return TextBatch(rows, texts, [], len(block.removeprefix(BOM)))

    def rejected(self, row: RejectedRow, length: int) -> TextBatch:
        return TextBatch(np.empty(0, np.int32), utf8([]), [row], length)


def plain_texts(block: bytes, column: str = TEXT) -> Utf8 | None:
    """The text of every line; None if not all lines are plain."""
    name = np.frombuffer(column.encode(), np.uint8)
    data = np.frombuffer(block, np.uint8)
    if not is_utf8(data):
        return None
    out, ends = np.empty(len(data) + SLACK, np.uint8), np.empty(len(data) // (_SHORTEST + len(name)) + 2, np.int64)
    lines = read_field(data, name, out, ends)
    return None if lines < 1 else Utf8(out[: ends[lines]], ends[: lines + 1])
