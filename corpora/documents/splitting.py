"""Where one input is cut into work items: after lines, after blank lines, at frames, or between row groups.

Borders depend only on the file and on item_bytes, so a run has the same items wherever it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from corpora.documents.borders import until
from corpora.documents.compressions import CUTS
from corpora.documents.item import WorkItem
from corpora.documents.looking import Look, NoRanges, looking_into
from corpora.files import is_local

BLOCK = 4 << 20  # bytes read at a time, at most
_FIRST_LOOK = 64 << 10  # most lines are shorter


class Range(NamedTuple):
    """[start, end) in bytes as stored (line formats) or row groups (Parquet).

    first_row: 0-based in the whole file; None: to be counted, see `row_numbers`.
    """

    start: int
    end: int
    first_row: int | None


def ranges_in(file: WorkItem, size: int, item_bytes: int, border: re.Pattern[bytes]) -> list[Range]:
    """The ranges of a line file. One that can only be read from its beginning is one range.

    A range of an uncompressed file ends after a document, one of a compressed file at a frame.
    """
    try:
        with looking_into(file) as look:
            if not file.compression:
                return _gathered(_line_borders(look, size, item_bytes, border), size, item_bytes)
            cut = CUTS[file.compression]
            ranges = _gathered(cut.starts(look, size, is_local(file.path)), size, item_bytes)
            if all(cut.begins(look, start) for start, _, _ in ranges[1:]):  # a table of frames may be wrong
                return ranges
            return [Range(0, size, 0)]
    except NoRanges:
        return [Range(0, size, 0)]


def _gathered(borders: Iterable[int], size: int, item_bytes: int) -> list[Range]:
    """At least one range, in order, covering the file. Each ends at the first border at or beyond item_bytes."""
    ends = []
    start = 0
    for border in borders:
        if start + item_bytes <= border < size:
            ends.append(border)
            start = border
    return [Range(begin, end, None if begin else 0) for begin, end in zip([0, *ends], [*ends, size], strict=True)]


def _line_borders(look: Look, size: int, item_bytes: int, border: re.Pattern[bytes]) -> Iterator[int]:
    """Only the borders that are needed: one look each, if lines aren't long."""
    position = 0
    while position < size:
        position += item_bytes - 1
        position += sum(map(len, until(_pieces(look, position, size), border)))
        yield position


def _pieces(look: Look, position: int, size: int) -> Iterator[bytes]:
    length = min(_FIRST_LOOK, BLOCK)
    while position < size and (piece := look(position, min(length, size - position))):
        yield piece
        position += len(piece)
        length = min(4 * length, BLOCK)


def ranges_of_groups(sizes: Iterable[tuple[int, int]], item_bytes: int) -> list[Range]:
    """Row groups gathered until they reach item_bytes. sizes: (rows, uncompressed bytes) of each group."""
    ranges: list[Range] = []
    start = row = next_row = gathered = end = 0
    for end, (rows, size) in enumerate(sizes, 1):
        next_row, gathered = next_row + rows, gathered + size
        if gathered >= item_bytes:
            ranges.append(Range(start, end, row))
            start, row, gathered = end, next_row, 0
    if start < end or not ranges:
        ranges.append(Range(start, end, row))
    return ranges
