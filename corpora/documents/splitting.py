"""Where one input is cut into work items: at line borders, or between row groups.

Borders depend on the file and on item_bytes only, so that a run's items are the same wherever it runs.
"""

from __future__ import annotations

from typing import IO, NamedTuple

import numpy as np

from corpora.documents.listing import Listed
from corpora.errors import TamizError
from corpora.files import is_local, open_binary

BLOCK = 4 << 20  # bytes read at a time


class Range(NamedTuple):
    """[start, end) in bytes (line formats) or row groups (Parquet); first_row in the whole file."""

    start: int
    end: int
    first_row: int


def split(listed: Listed, kind: tuple[str, str], item_bytes: int) -> list[Range]:
    """At least one range, in order, covering the file. `kind` is (format, compression) of formats.detect.

    Compressed and remote line files stay whole.
    """
    address, size = listed.address, listed.size
    if kind[0] == "parquet" and size:
        return _row_groups(address, item_bytes)
    if kind[1] or size <= item_bytes or not is_local(address):
        return [Range(0, size, 0)]
    try:
        with open(address, "rb", buffering=0) as file:
            return _lines(file, size, item_bytes)
    except OSError as error:
        raise TamizError(f"can't read {address}: {error.strerror or error}") from error


def _lines(file: IO[bytes], size: int, item_bytes: int) -> list[Range]:
    """Each range ends after the first newline at or beyond item_bytes."""
    ranges: list[Range] = []
    start = row = 0
    buffer = bytearray(BLOCK)
    while start < size:
        end = _line_end(file, start + item_bytes - 1, size)
        ranges.append(Range(start, end, row))
        if end < size:
            row += _count_newlines(file, start, end, buffer)
        start = end
    return ranges


def _line_end(file: IO[bytes], position: int, size: int) -> int:
    """The byte after the first newline at or after `position`; `size` if there is none."""
    file.seek(position)
    while position < size:
        block = file.read(min(BLOCK, size - position))
        if not block:
            break
        found = block.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(block)
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


def _row_groups(address: str, item_bytes: int) -> list[Range]:
    """Row groups gathered until they hold item_bytes (uncompressed). A damaged file is one range of nothing."""
    from corpora.documents.parquet import ParquetFile
    from corpora.documents.source import Damage, unreadable

    try:
        file = open_binary(address)
    except Exception as error:  # each file system has exceptions of its own
        raise unreadable(address, error) from error
    with file:
        try:
            opened = ParquetFile(address, file)
        except Damage:
            return [Range(0, 0, 0)]  # reading the item says what is wrong
        opened.refuse_columns()
        return _gather(opened.row_groups(), item_bytes)


def _gather(sizes: list[tuple[int, int]], item_bytes: int) -> list[Range]:
    ranges: list[Range] = []
    start = row = next_row = held = 0
    for group, (rows, size) in enumerate(sizes):
        next_row, held = next_row + rows, held + size
        if held >= item_bytes:
            ranges.append(Range(start, group + 1, row))
            start, row, held = group + 1, next_row, 0
    if start < len(sizes) or not ranges:
        ranges.append(Range(start, len(sizes), row))
    return ranges
