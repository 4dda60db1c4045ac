"""Where the frames of a .zst file begin, without decompressing it.

By the seek table at its end, if it has one (zstd's "seekable format", version 0.1.0): one read. Otherwise, in a local
file, by the sizes of its blocks: three bytes are read of each (RFC 8878, section 3.1.1.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import zstandard

from corpora.documents.looking import Look, NoRanges

_MAGIC = zstandard.FRAME_HEADER
_LONGEST_HEADER = 18
_RLE, _RESERVED = 1, 3  # types of blocks
_CHECKSUM_FLAG = 4
_LARGEST_BLOCK = 128 << 10

_SEEKABLE = bytes.fromhex("b1ea928f")  # ends the file
_TABLE = bytes.fromhex("5e2a4d18")  # begins the skippable frame with the table
_FOOTER = 9


def zstd_starts(look: Look, size: int, local: bool) -> Iterator[int]:
    """The position of each frame, up to the first that isn't one, or isn't whole. Raises NoRanges for a remote file
    without a seek table."""
    table = _seek_table(look, size)
    if table is not None:
        yield from table
    elif not local:
        raise NoRanges
    else:
        yield from _walk(look, size)


def _seek_table(look: Look, size: int) -> Sequence[int] | None:
    """The frames' positions as the table says; None if there is no table, or it doesn't fit the file."""
    footer = look(max(size - _FOOTER, 0), _FOOTER)
    if len(footer) < _FOOTER or footer[5:] != _SEEKABLE:
        return None
    frames, entry = int.from_bytes(footer[:4], "little"), 12 if footer[4] & 0x80 else 8
    start = size - _FOOTER - frames * entry - 8
    if not frames or start <= 0:
        return None
    table = look(start, size - _FOOTER - start)
    if table[:4] != _TABLE or int.from_bytes(table[4:8], "little") != frames * entry + _FOOTER:
        return None
    lengths = np.frombuffer(table[8:], np.uint8).reshape(frames, entry)[:, :4].copy().view("<u4")[:, 0].tolist()
    return [0, *accumulate(lengths)][:-1] if sum(lengths) == start else None


def _walk(look: Look, size: int) -> Iterator[int]:
    position = 0
    while position < size:
        end = _frame_end(look, position)
        if end is None or end > size:
            return
        yield position
        position = end


def is_frame(look: Look, position: int) -> bool:
    """Whether a frame or a skippable frame begins there."""
    return _kind(look(position, 4)) is not None


def _kind(magic: bytes) -> str | None:
    if magic == _MAGIC:
        return "frame"
    return "skippable" if len(magic) == 4 and magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18" else None


def _frame_end(look: Look, position: int) -> int | None:
    """None if no frame begins there, or it can't be followed."""
    head = look(position, _LONGEST_HEADER)
    kind = _kind(head[:4])
    if kind == "skippable":
        return position + 8 + int.from_bytes(head[4:8], "little") if len(head) >= 8 else None
    if kind is None or len(head) < 6:
        return None
    try:
        position += zstandard.frame_header_size(head)
    except zstandard.ZstdError:
        return None
    last = 0
    while not last:
        block = look(position, 3)
        word = int.from_bytes(block, "little")
        last, type_, length = word & 1, (word >> 1) & 3, word >> 3
        if len(block) < 3 or type_ == _RESERVED or (length > _LARGEST_BLOCK and type_ != _RLE):
            return None
        position += 3 + (1 if type_ == _RLE else length)
    return position + (4 if head[4] & _CHECKSUM_FLAG else 0)
