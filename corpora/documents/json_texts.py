"""One JSON object a line -> texts alone: plain blocks by kernels, all others as `jsonl` reads them."""

from __future__ import annotations

import numpy as np

from corpora.documents.batches import TextBatch
from corpora.documents.json_kernels import SLACK, read_field
from corpora.documents.jsonl import JsonlParser
from corpora.documents.utf8_kernels import is_utf8
from corpora.texts import Utf8

_TEXT = np.frombuffer(b"text", np.uint8)
_SHORTEST = len('{"text":"."}')


class JsonTexts:
    """Lines -> TextBatch, with the same outcome for each line as JsonlParser's."""

    def __init__(self, file: str) -> None:
        self._parser = JsonlParser(file, ())

    def __call__(self, block: bytes, first_row: int) -> TextBatch:
        """`block` holds whole lines; the last may lack its newline."""
        texts = plain_texts(block)
        if texts is None:
            return TextBatch.of(self._parser(block, first_row))
        return TextBatch(texts, [], len(block))


def plain_texts(block: bytes) -> Utf8 | None:
    """The text of every line; None where not all lines are plain."""
    data = np.frombuffer(block, np.uint8)
    if not is_utf8(data):
        return None
    out, ends = np.empty(len(data) + SLACK, np.uint8), np.empty(len(data) // _SHORTEST + 2, np.int64)
    lines = read_field(data, _TEXT, out, ends)
    return None if lines < 1 else Utf8(out[: ends[lines]], ends[: lines + 1])
