"""Decompression of .zst: frames one after another, block by block (RFC 8878, section 3.1).

This module walks the blocks and leaves their content to the library. So one call yields at most one block (128 KiB),
every block before a corrupt one is kept, and truncated frames are detected.
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from corpora.documents.source import PIECE, Damage, Source

_MAGIC = zstandard.FRAME_HEADER
_LONGEST_WINDOW = 1 << 31  # as `zstd --long=31` writes; the library refuses more than 2**27 unless told
_RLE = 1  # the block type that repeats one byte
_CHECKSUM_FLAG = 4  # in the frame header descriptor


def unzstd(source: Source) -> Iterator[bytes]:
    """Uncompressed bytes of every frame; skippable frames are skipped. Raises Damage for everything else."""
    while magic := source.read(4):
        if magic == _MAGIC:
            yield from _Frame(source).blocks()
        elif len(magic) == 4 and _is_skippable(magic):
            _skip_frame(source)
        elif _MAGIC.startswith(magic) or _is_skippable(magic):
            raise _truncated(source)
        else:
            raise Damage(f"not zstd: no frame begins at byte {source.position - len(magic)}")


class _Frame:
    """One frame, after its magic number."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decoder = zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).decompressobj()

    def blocks(self) -> Iterator[bytes]:
        has_checksum = self._header()
        last = 0
        while not last:
            head = _take(self._source, 3)
            word = int.from_bytes(head, "little")
            last, kind, size = word & 1, (word >> 1) & 3, word >> 3
            yield self._decode(head + _take(self._source, 1 if kind == _RLE else size))
        if has_checksum:
            self._decode(_take(self._source, 4))

    def _header(self) -> bool:
        start = _MAGIC + _take(self._source, 1)
        length = zstandard.frame_header_size(start)
        self._decode(start + _take(self._source, length - len(start)))
        return bool(start[4] & _CHECKSUM_FLAG)

    def _decode(self, data: bytes) -> bytes:
        try:
            return self._decoder.decompress(data)
        except zstandard.ZstdError as error:
            reason = str(error).removeprefix("zstd decompressor error: ").lower()
            begin = self._source.position - len(data)
            raise Damage(f"corrupt zstd: {reason} in the block at byte {begin}") from error


def _take(source: Source, length: int) -> bytes:
    data = source.read(length)
    if len(data) < length:
        raise _truncated(source)
    return data


def _is_skippable(magic: bytes) -> bool:
    """Whether `magic` begins a skippable frame: 0x184D2A50 to 0x184D2A5F, little endian."""
    return magic[0] & 0xF0 == 0x50 and b"\x2a\x4d\x18".startswith(magic[1:])


def _skip_frame(source: Source) -> None:
    left = int.from_bytes(_take(source, 4), "little")
    while left:
        left -= len(_take(source, min(left, PIECE)))


def _truncated(source: Source) -> Damage:
    return Damage(f"truncated zstd: ends at byte {source.position}, inside a frame")
