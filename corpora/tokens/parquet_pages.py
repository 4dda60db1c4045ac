"""Parquet data pages of integers and lists of integers: BYTE_STREAM_SPLIT, zstd level 1.

Nothing here is ever null, so a list's levels only say where rows begin and which lists are empty. A 16-bit id fills
two of Parquet's four byte streams.

Source: the Parquet format, `parquet.thrift` and Encodings.md.
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

PAGE_VALUES = 1 << 18  # values per page, unless a row has more
_DATA_PAGE, _RLE, _BYTE_STREAM_SPLIT = map(thrift.i32, (0, 3, 9))  # values of the enums PageType and Encoding
_STREAMS = 4  # bytes of Parquet's INT32


class Page(NamedTuple):
    """The content of a page. num_values: the number of levels, so an empty list counts as one."""

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
    """The levels of `rows` lists of `width` values each (width >= 1)."""
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
    """Makes the bytes of pages, in memory that it reuses."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._body: Bytes = np.empty(0, np.uint8)

    def compressed(self, page: Page) -> tuple[bytes, bytes, int]:
        """A page's header, its body, and the size that both would have uncompressed."""
        levels, values = page.levels, page.values
        size = len(levels) + _STREAMS * values.size
        if len(self._body) < size:
            self._body = np.empty(size, np.uint8)
        self._body[: len(levels)] = np.frombuffer(levels, np.uint8)
        _split(values, self._body[len(levels) : len(levels) + values.nbytes])
        self._body[len(levels) + values.nbytes : size] = 0  # the upper bytes of a 32-bit value
        body = self._compressor.compress(self._body[:size].data)
        header = _header(page.num_values, size, len(body))
        return header, body, len(header) + size


def _split(values: npt.NDArray[Any], out: Bytes) -> None:
    from corpora.tokens.page_kernels import split_16, split_32

    if values.itemsize == 1:
        out[:] = values.view(np.uint8)
    elif values.itemsize == 2:
        split_16(values.view(np.uint16), out)
    else:
        split_32(values.view(np.uint32), out)


def _header(num_values: int, size: int, compressed_size: int) -> bytes:
    i32 = thrift.i32
    data_page = thrift.struct({1: i32(num_values), 2: _BYTE_STREAM_SPLIT, 3: _RLE, 4: _RLE})
    return thrift.struct({1: _DATA_PAGE, 2: i32(size), 3: i32(compressed_size), 5: data_page}).data
