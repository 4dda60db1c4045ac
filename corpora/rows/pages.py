"""Reads the ids of a shard's row group straight from its Parquet pages, three times as fast as Arrow.

Arrow builds lists of 32-bit values from their levels of nesting and then narrows them. `ShardWriter` writes full
lists only, so here the levels are skipped, and only those of BYTE_STREAM_SPLIT's four byte streams are joined that
the id type has. Columns written in any other way are left to Arrow (`can_read`).

Source: the Parquet format, `parquet.thrift` (PageHeader, DataPageHeader) and Encodings.md.
"""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import zstandard

Ids = npt.NDArray[np.unsignedinteger]

_DATA_PAGE, _BYTE_STREAM_SPLIT = 0, 9  # values of the enums PageType and Encoding
_TYPE, _SIZE, _COMPRESSED_SIZE, _DATA_PAGE_HEADER = 1, 2, 3, 5  # fields of PageHeader
_NUM_VALUES, _ENCODING = 1, 2  # fields of DataPageHeader
_STREAMS = 4  # bytes of Parquet's INT32


class PageHeader(NamedTuple):
    """size: bytes of the decompressed page; body: where it begins; end: where the next page begins."""

    size: int
    num_values: int
    body: int
    end: int


def column_index(schema: pq.ParquetSchema, name: str) -> int | None:
    """The index of a column of required lists of required 32-bit values; None for any other column."""
    for index, column in enumerate(map(schema.column, range(len(schema)))):
        if column.path == f"{name}.list.element" and column.physical_type == "INT32":
            return index if (column.max_definition_level, column.max_repetition_level) == (1, 1) else None
    return None


def can_read(chunk: pq.ColumnChunkMetaData, num_values: int) -> bool:
    """Whether `PageReader` can read this chunk of a column for which `column_index` isn't None."""
    return (
        chunk.compression == "ZSTD"
        and set(chunk.encodings) == {"RLE", "BYTE_STREAM_SPLIT"}
        and not chunk.has_dictionary_page
        and chunk.num_values == num_values
    )


class PageReader:
    """Reads column chunks into memory that it reuses: new pages from the system are expensive."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()
        self._compressed, self._page = bytearray(), bytearray()

    def read_ids(self, file: BinaryIO, chunk: pq.ColumnChunkMetaData, out: Ids) -> None:
        """Fills `out` (flat, contiguous, uint16 or uint32) with a column chunk's values.

        Raises ValueError for pages that don't match the chunk's metadata, OSError if the file can't be read.
        """
        size = chunk.total_compressed_size
        self._compressed = _at_least(self._compressed, size)
        pages = memoryview(self._compressed)[:size]
        file.seek(chunk.data_page_offset)
        if (found := file.readinto(pages)) < size:  # type: ignore[attr-defined]
            raise ValueError(f"{found} bytes of {size}")
        place = filled = 0
        while place < size:
            header = page_header(pages, place)
            if header.size > chunk.total_uncompressed_size:
                raise ValueError(f"a page of {header.size} bytes in {chunk.total_uncompressed_size}")
            _join(_streams(self._decompressed(pages, header), header), out[filled : filled + header.num_values])
            filled, place = filled + header.num_values, header.end
        if filled != out.size:
            raise ValueError(f"{filled} ids of {out.size}")

    def _decompressed(self, pages: memoryview, header: PageHeader) -> memoryview:
        self._page = _at_least(self._page, header.size)
        page = memoryview(self._page)[: header.size]
        try:
            found = self._decompressor.stream_reader(pages[header.body : header.end]).readinto(page)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
        if found < header.size:
            raise ValueError(f"a page of {found} bytes, not {header.size}")
        return page


def _at_least(buffer: bytearray, size: int) -> bytearray:
    return buffer if len(buffer) >= size else bytearray(size)


def _streams(page: memoryview, header: PageHeader) -> npt.NDArray[np.uint8]:
    """uint8[4, n]: the k-th bytes of a page's values. Before them are two blocks of levels, each after its length."""
    levels = 0
    for _ in range(2):
        levels += 4 + int.from_bytes(page[levels : levels + 4], "little")
    if levels + _STREAMS * header.num_values != len(page):  # also true if a list is empty
        raise ValueError(f"a page of {len(page)} bytes for {header.num_values} values")
    return np.frombuffer(page, np.uint8, offset=levels).reshape(_STREAMS, -1)


def _join(streams: npt.NDArray[np.uint8], out: Ids) -> None:
    if streams.shape[1] != out.size:
        raise ValueError(f"a page of {streams.shape[1]} ids, where {out.size} are left")
    out[:] = streams[out.itemsize - 1]
    for lower in streams[: out.itemsize - 1][::-1]:
        np.left_shift(out, 8, out=out)
        np.bitwise_or(out, lower, out=out)


def page_header(pages: memoryview, place: int) -> PageHeader:
    """The header of the data page at `place`. Raises ValueError if there is no page of the supported kind."""
    try:
        fields, body = _thrift_struct(pages, place)
        data = fields[_DATA_PAGE_HEADER]
        kind = fields[_TYPE], data[_ENCODING]
        header = PageHeader(fields[_SIZE], data[_NUM_VALUES], body, body + fields[_COMPRESSED_SIZE])
    except (IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no page header at byte {place}") from error
    whole = body < header.end <= len(pages) and min(header.size, header.num_values) >= 0
    if kind != (_DATA_PAGE, _BYTE_STREAM_SPLIT) or not whole:
        raise ValueError(f"no data page of split bytes at byte {place}")
    return header


def _thrift_struct(data: memoryview, place: int) -> tuple[dict[int, Any], int]:
    """A struct of Thrift's compact protocol: its fields by number, and where it ends. Headers contain no lists."""
    fields: dict[int, Any] = {}
    number = 0
    while data[place]:
        step, kind = data[place] >> 4, data[place] & 15
        number, place = (number + step, place + 1) if step else _zigzag(data, place + 1)
        if kind in (1, 2):
            fields[number] = kind == 1
        elif kind in (4, 5, 6):
            fields[number], place = _zigzag(data, place)
        elif kind == 8:
            length, place = _varint(data, place)
            fields[number], place = bytes(data[place : place + length]), place + length
        elif kind == 12:
            fields[number], place = _thrift_struct(data, place)
        else:
            raise ValueError(f"a field of kind {kind} at byte {place}")
    return fields, place + 1


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while data[place] & 128:
        value |= (data[place] & 127) << shift
        shift, place = shift + 7, place + 1
    return value | data[place] << shift, place + 1


def _zigzag(data: memoryview, place: int) -> tuple[int, int]:
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place
