"""Where one input is cut into work items: after lines, after blank lines, or between row groups.

Borders depend only on the file and on item_bytes, so a run has the same items wherever it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import IO, NamedTuple

import numpy as np

BLOCK = 4 << 20  # bytes read at a time

_BLANK_LINE = re.compile(rb"\n\r?\n")

NextBorder = Callable[[IO[bytes], int, int], int]  # file, position, size -> the border at or after position


class Range(NamedTuple):
    """[start, end) in bytes (line formats) or row groups (Parquet); first_row is 0-based in the whole file."""

    start: int
    end: int
    first_row: int


def ranges_of_lines(file: IO[bytes], size: int, item_bytes: int, next_border: NextBorder) -> list[Range]:
    """At least one range, in order, covering the file. Each ends at the first border at or beyond item_bytes."""
    ranges: list[Range] = []
    start = row = 0
    buffer = bytearray(BLOCK)
    while start < size:
        end = next_border(file, start + item_bytes - 1, size)
        ranges.append(Range(start, end, row))
        if end < size:
            row += _count_newlines(file, start, end, buffer)
        start = end
    return ranges or [Range(0, size, 0)]


def line_end(file: IO[bytes], position: int, size: int) -> int:
    """The byte after the first newline at or after `position`; `size` if there is none."""
    file.seek(position)
    while position < size:
        block = file.read(min(BLOCK, size - position))
        if not block:
            break
        newline = block.find(b"\n")
        if newline >= 0:
            return position + newline + 1
        position += len(block)
    return size


def blank_line_end(file: IO[bytes], position: int, size: int) -> int:
    """The byte after the first blank line that follows a newline at or after `position`; `size` if there is none."""
    file.seek(position)
    carried = b""  # a blank line may begin in one block and end in the next
    while position < size:
        block = file.read(min(BLOCK, size - position))
        if not block:
            break
        blank = _BLANK_LINE.search(carried + block)
        if blank:
            return position - len(carried) + blank.end()
        position += len(block)
        carried = (carried + block)[-2:]
    return size


def _count_newlines(file: IO[bytes], start: int, end: int, buffer: bytearray) -> int:
    file.seek(start)
    view, left, count = memoryview(buffer), end - start, 0
    while left > 0:
        length = file.readinto(view[: min(left, len(buffer))])  # type: ignore[attr-defined]
        if not length:
            break
        count += int(np.count_nonzero(np.frombuffer(buffer, np.uint8, length) == 10))
        left -= length
    return count


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
