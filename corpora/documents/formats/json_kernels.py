"""Kernels that read one field of JSON lines without a Python object per line: unescaped UTF-8, text after text.

They read plain blocks only: every line is one object whose values are strings, numbers, true, false or null, and that
has the field exactly once, as a string that isn't empty. All other blocks are left to the line-by-line parser.

Twin: corpora.documents.formats.json_parser.JsonlParser
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import bytes_between, copy_64, inlined, trailing_zeros, uncounted

SLACK = 64  # bytes after the texts that may be overwritten
_BAD = -1  # returned as a position: the block isn't plain
_QUOTE, _BACKSLASH, _NEWLINE, _SPACE, _TAB, _RETURN = map(ord, '"\\\n \t\r')
_OPEN, _CLOSE, _COLON, _COMMA = map(ord, "{}:,")
_MINUS, _PLUS, _POINT, _ZERO, _NINE, _E, _U = map(ord, "-+.09eu")
_STANDS_FOR = np.zeros(256, np.uint8)  # indexed by the byte after a backslash
_STANDS_FOR[[*b'"\\/bfnrt']] = [*b'"\\/\b\f\n\r\t']
_HEX = np.full(256, 1 << 16, np.int64)
_HEX[[*b"0123456789abcdefABCDEF"]] = [*range(16), *range(10, 16)]
_LITERALS = np.zeros((3, 5), np.uint8)
_LITERALS[0], _LITERALS[1, :4], _LITERALS[2, :4] = [*b"false"], [*b"true"], [*b"null"]
_LENGTHS = np.array([5, 4, 4])


@inlined
def _byte(block: NDArray[np.uint8], position: int) -> int:
    """The byte at `position`; 0 past the end."""
    return int(block[position]) if position < block.shape[0] else 0


@inlined
def _past_space(block: NDArray[np.uint8], position: int) -> int:
    byte = _byte(block, position)
    while byte == _SPACE or byte == _TAB or byte == _RETURN:  # noqa: SIM109 (kernels have no tuples)
        position += 1
        byte = _byte(block, position)
    return position


@inlined
def _code_unit(block: NDArray[np.uint8], position: int) -> int:
    r"""The code unit of `\uXXXX` at `position`; 2**16 or more where there is none."""
    if position + 6 > block.shape[0] or block[position] != _BACKSLASH or block[position + 1] != _U:
        return 1 << 16
    code = 0
    for place in range(position + 2, position + 6):
        code = code << 4 | int(_HEX[block[place]])
    return code


@inlined
def _write(code: int, out: NDArray[np.uint8], end: int) -> int:
    """Writes a character as UTF-8. Returns where it ends in `out`."""
    if code < 0x80:
        out[end] = code
        return end + 1
    size = 2 + (code >= 0x800) + (code >= 0x10000)
    for place in range(size - 1, 0, -1):
        out[end + place] = 0x80 | code & 0x3F
        code >>= 6
    out[end] = (0xF00 >> size) & 0xFF | code
    return end + size


@uncounted
def _escape(block: NDArray[np.uint8], position: int, out: NDArray[np.uint8], end: int) -> tuple[int, int]:
    """Reads the escape at `position`, writes its character from out[end] on. Returns the end of each."""
    byte = _byte(block, position + 1)
    if byte != _U:
        out[end] = _STANDS_FOR[byte]
        return position + 2 if _STANDS_FOR[byte] != 0 else _BAD, end + 1
    code = _code_unit(block, position)
    position += 6
    if 0xD800 <= code < 0xDC00:
        low = _code_unit(block, position)
        if low < 0xDC00 or low >= 0xE000:
            return _BAD, end
        return position + 6, _write(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00, out, end)
    if code >= 1 << 16 or 0xDC00 <= code < 0xE000:
        return _BAD, end
    return position, _write(code, out, end)


@inlined
def _string(block: NDArray[np.uint8], position: int, out: NDArray[np.uint8], end: int) -> tuple[int, int]:
    """As `_escape`, for the string whose opening quote is just before `position`."""
    while True:
        if position + 64 <= block.shape[0]:
            special = bytes_between(block, position, 0, 0x1F) | bytes_between(block, position, _QUOTE, _QUOTE)
            special |= bytes_between(block, position, _BACKSLASH, _BACKSLASH)
            copy_64(block, position, out, end)
            found = trailing_zeros(special) if special != 0 else 64
        else:
            found = 0
            byte = _byte(block, position)
            while byte >= _SPACE and byte != _QUOTE and byte != _BACKSLASH:
                out[end + found] = byte
                found += 1
                byte = _byte(block, position + found)
        position += found
        end += found
        if found == 64:
            continue
        byte = _byte(block, position)
        if byte == _QUOTE:
            return position + 1, end
        if byte != _BACKSLASH:
            return _BAD, end
        position, end = _escape(block, position, out, end)
        if position == _BAD:
            return _BAD, end


@inlined
def _digits(block: NDArray[np.uint8], position: int) -> int:
    """The position after one digit or more."""
    start = position
    while _ZERO <= _byte(block, position) <= _NINE:
        position += 1
    return position if position > start else _BAD


@uncounted
def _number(block: NDArray[np.uint8], position: int) -> int:
    """The position after the number at `position`."""
    position += 1 if _byte(block, position) == _MINUS else 0
    first = position
    position = _digits(block, position)
    if position == _BAD or (block[first] == _ZERO and position > first + 1):
        return _BAD
    if _byte(block, position) == _POINT:
        position = _digits(block, position + 1)
        if position == _BAD:
            return _BAD
    if _byte(block, position) | 0x20 == _E:
        sign = _byte(block, position + 1)
        return _digits(block, position + 1 + (sign == _PLUS or sign == _MINUS))  # noqa: SIM109 (kernels have no tuples)
    return position


@uncounted
def _plain(block: NDArray[np.uint8], position: int) -> int:
    """The position after the number, true, false or null at `position`."""
    for literal in range(3):
        same, length = True, int(_LENGTHS[literal])
        for place in range(length):
            same &= _byte(block, position + place) == _LITERALS[literal, place]
        if same:
            return position + length
    return _number(block, position)


@inlined
def _is_name(block: NDArray[np.uint8], start: int, stop: int, name: NDArray[np.uint8]) -> bool:
    if stop - start != name.shape[0]:
        return False
    for place in range(name.shape[0]):  # noqa: SIM110 (kernels have no generators)
        if block[start + place] != name[place]:
            return False
    return True


@inlined
def _key(block: NDArray[np.uint8], position: int) -> int:
    """The closing quote of the key whose opening quote is at `position`. A key with an escape isn't plain."""
    if _byte(block, position) != _QUOTE:
        return _BAD
    position += 1
    byte = _byte(block, position)
    while byte >= _SPACE and byte != _QUOTE and byte != _BACKSLASH:
        position += 1
        byte = _byte(block, position)
    return position if byte == _QUOTE else _BAD


@uncounted
def _object(
    block: NDArray[np.uint8], position: int, name: NDArray[np.uint8], out: NDArray[np.uint8], end: int
) -> tuple[int, int]:
    """Reads the object at `position` and writes its text from out[end] on. Returns the end of each."""
    begin, found = end, False
    if _byte(block, position) != _OPEN:
        return _BAD, end
    while True:
        start = _past_space(block, position + 1)
        stop = _key(block, start)
        position = _past_space(block, stop + 1)
        if stop == _BAD or _byte(block, position) != _COLON:
            return _BAD, end
        position = _past_space(block, position + 1)
        wanted = _is_name(block, start + 1, stop, name)
        if wanted and (found or _byte(block, position) != _QUOTE):
            return _BAD, end
        found |= wanted
        if _byte(block, position) == _QUOTE:
            position, written = _string(block, position + 1, out, end)
            end = written if wanted else end
        else:
            position = _plain(block, position)
        if position == _BAD:
            return _BAD, end
        position = _past_space(block, position)
        byte = _byte(block, position)
        if byte == _CLOSE:
            return position + 1 if found and end > begin else _BAD, end
        if byte != _COMMA:
            return _BAD, end


@uncounted
def read_field(
    block: NDArray[np.uint8], name: NDArray[np.uint8], out: NDArray[np.uint8], ends: NDArray[np.int64]
) -> int:
    """Writes the field of line k to out[ends[k]:ends[k + 1]]. Returns the number of lines, -1 if not all are plain.

    block: lines, the last with or without its newline; valid UTF-8. out: uint8[bytes of the block + SLACK]. ends:
    int64[lines + 1].
    """
    position, end, lines = 0, 0, 0
    ends[0] = 0
    while position < block.shape[0]:
        position, end = _object(block, _past_space(block, position), name, out, end)
        if position == _BAD:
            return -1
        position = _past_space(block, position)
        if position < block.shape[0] and block[position] != _NEWLINE:
            return -1
        position += 1
        lines += 1
        ends[lines] = end
    return lines
