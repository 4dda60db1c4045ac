"""Parquet data pages of whole numbers and of lists of them: BYTE_STREAM_SPLIT, zstd level 1.

Nothing here is ever null, so a list's levels say no more than where rows begin and which lists are empty. An id of
16 bits has two of Parquet's four streams of bytes; the other two are zeros, which the compressor need not see.

Source: the Parquet format, `parquet.thrift` and Encodings.md; RFC 8878 (zstd's frames and blocks).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from corpora.tokens import thrift
from corpora.tokens.causal import Ragged

Column = npt.NDArray[Any] | Ragged
Bytes = npt.NDArray[np.uint8]
Buffer = bytes | memoryview

PAGE_VALUES = 1 << 18  # of a page, unless a row has more
_DATA_PAGE, _RLE, _BYTE_STREAM_SPLIT = map(thrift.i32, (0, 3, 9))  # of the enums PageType and Encoding
_STREAMS = 4  # bytes of Parquet's INT32
_RLE_BLOCK, _BLOCK_BYTES = 1, 1 << 17  # zstd's
_SINGLE_SEGMENT = b"\x28\xb5\x2f\xfd\xa0"  # zstd's magic number; a size of 4 bytes follows and no window's


class Page(NamedTuple):
    """What a page holds. num_values: of the levels, so with one for each empty list."""

    levels: bytes
    values: npt.NDArray[Any]
    num_values: int


def pages_of(column: Column) -> Iterator[Page]:
    """A column chunk's pages: lists of one width from [n, width], lists from `Ragged`, numbers from [n]."""
    size = column.values.size if isinstance(column, Ragged) else column.size
    rows = num_rows(column)
    step = max(1, rows * PAGE_VALUES // max(size, rows))
    for first in range(0, rows, step):
        yield _page(column, first, min(first + step, rows))


def num_rows(column: Column) -> int:
    return len(column.offsets) - 1 if isinstance(column, Ragged) else len(column)


def _page(column: Column, first: int, end: int) -> Page:
    if isinstance(column, Ragged):
        offsets = column.offsets[first : end + 1]
        levels, num_values = ragged_levels(offsets)
        return Page(levels, column.values[offsets[0] : offsets[-1]], num_values)
    values = np.ascontiguousarray(column[first:end]).reshape(-1)
    levels = full_levels(*column[first:end].shape) if column.ndim > 1 else b""
    return Page(levels, values, values.size)


@functools.lru_cache(maxsize=16)
def full_levels(rows: int, width: int) -> bytes:
    """The levels of `rows` lists that hold `width` values each, at least one."""
    row = _run(1, 0) + (_run(width - 1, 1) if width > 1 else b"")
    return _level_block(row * rows) + _level_block(_run(rows * width, 1))


def ragged_levels(offsets: npt.NDArray[np.integer[Any]]) -> tuple[bytes, int]:
    """The levels of lists of any length, and how many there are: an empty list has one."""
    lengths = np.diff(offsets)
    places = np.maximum(lengths, 1)
    begins = np.cumsum(places) - places
    goes_on, exists = np.ones((2, int(places.sum())), np.bool_)
    goes_on[begins] = False
    exists[begins[lengths == 0]] = False
    return _level_block(_bits(goes_on)) + _level_block(_bits(exists)), goes_on.size


def _level_block(run: bytes) -> bytes:
    return len(run).to_bytes(4, "little") + run


def _bits(levels: npt.NDArray[np.bool_]) -> bytes:
    """One bit-packed run of levels that are 0 or 1."""
    packed = np.packbits(levels, bitorder="little")
    return thrift.varint(packed.size << 1 | 1) + packed.tobytes()


def _run(count: int, level: int) -> bytes:
    """`count` equal levels, 0 or 1."""
    return thrift.varint(count << 1) + bytes([level])


class PageCompressor:
    """Makes pages' bytes, in memory that it keeps."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._seen: Bytes = np.empty(0, np.uint8)

    def compressed(self, page: Page) -> tuple[list[Buffer], int]:
        """A page's bytes in pieces, its header first, and the size of it all if the body weren't compressed."""
        levels, values = page.levels, page.values
        seen = len(levels) + values.nbytes
        if len(self._seen) < seen:
            self._seen = np.empty(seen, np.uint8)
        self._seen[: len(levels)] = np.frombuffer(levels, np.uint8)
        _split(values, self._seen[len(levels) : seen])
        frame = self._compressor.compress(self._seen[:seen].data)
        zeros = (_STREAMS - values.itemsize) * values.size
        body = followed_by_zeros(frame, seen, zeros) if zeros else [frame]
        header = _header(page.num_values, seen + zeros, sum(map(len, body)))
        return [header, *body], len(header) + seen + zeros


def _split(values: npt.NDArray[Any], out: Bytes) -> None:
    from corpora.tokens.page_kernels import split_16, split_32

    if values.itemsize == 1:
        out[:] = values.view(np.uint8)
    elif values.itemsize == 2:
        split_16(values.view(np.uint16), out)
    else:
        split_32(values.view(np.uint32), out)


def followed_by_zeros(frame: bytes, size: int, zeros: int) -> list[Buffer]:
    """The zstd frame of `size` bytes of content, without checksum, and `zeros` bytes 0 after them, in pieces.

    They are blocks that repeat a byte: the compressor would spend a twentieth of its time on them.
    """
    begin = place = zstandard.frame_header_size(frame)
    last = begin
    while place < len(frame):
        last, header = place, int.from_bytes(frame[place : place + 3], "little")
        place += 3 + (1 if header >> 1 & 3 == _RLE_BLOCK else header >> 3)
    no_longer_last = bytes([frame[last] & ~1])
    blocks = memoryview(frame)
    start = _SINGLE_SEGMENT + (size + zeros).to_bytes(4, "little")
    return [start, blocks[begin:last], no_longer_last, blocks[last + 1 :], _zero_blocks(zeros)]


def _zero_blocks(zeros: int) -> bytes:
    sizes = [min(_BLOCK_BYTES, zeros - done) for done in range(0, zeros, _BLOCK_BYTES)]
    headers = [size << 3 | _RLE_BLOCK << 1 for size in sizes]
    headers[-1] |= 1  # the last
    return b"".join(header.to_bytes(3, "little") + b"\0" for header in headers)


def _header(num_values: int, size: int, compressed_size: int) -> bytes:
    i32 = thrift.i32
    data_page = thrift.struct({1: i32(num_values), 2: _BYTE_STREAM_SPLIT, 3: _RLE, 4: _RLE})
    return thrift.struct({1: _DATA_PAGE, 2: i32(size), 3: i32(compressed_size), 5: data_page}).data
