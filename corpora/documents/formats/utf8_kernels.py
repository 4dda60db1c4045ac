"""Checks whether bytes are valid UTF-8 (Unicode, table 3-7), 64 at a time, as the bits of a number.

Continuation bytes must appear exactly where a lead byte requires them. No lead byte may start an overlong form or a
character past U+10FFFF, and no second byte may complete one of these or a surrogate.

Twin: tests/reference/utf8.py::is_utf8
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import bytes_between, inlined, uncounted

_BLOCK = 64
_ONE, _LAST = np.uint64(1), np.uint64(63)
# Carried from one block to the next: the continuation bytes still required, and whether the last byte is a lead byte
# that narrows the range of the second byte.
_DUE, _E0, _ED, _F0, _F4, _LEFT = range(6)


@inlined
def _after(data: NDArray[np.uint8], at: int, byte: int, left: NDArray[np.uint64], which: int) -> np.uint64:
    """The positions after each occurrence of `byte`."""
    found = bytes_between(data, at, byte, byte)
    before = left[which]
    left[which] = found >> _LAST
    return np.uint64(found << _ONE | before)


@inlined
def _is_right(data: NDArray[np.uint8], at: int, left: NDArray[np.uint64]) -> bool:
    """Whether the 64 bytes at `at` are valid, given the state `left` of the blocks before."""
    two, three = bytes_between(data, at, 0xC2, 0xDF), bytes_between(data, at, 0xE0, 0xEF)
    four, never = bytes_between(data, at, 0xF0, 0xF4), bytes_between(data, at, 0xF5, 0xFF)
    never |= bytes_between(data, at, 0xC0, 0xC1)
    many = three | four
    due = left[_DUE] | (two | many) << _ONE | many << np.uint64(2) | four << np.uint64(3)
    left[_DUE] = (two | many) >> _LAST | many >> np.uint64(62) | four >> np.uint64(61)
    never |= _after(data, at, 0xE0, left, _E0) & bytes_between(data, at, 0x80, 0x9F)
    never |= _after(data, at, 0xED, left, _ED) & bytes_between(data, at, 0xA0, 0xBF)
    never |= _after(data, at, 0xF0, left, _F0) & bytes_between(data, at, 0x80, 0x8F)
    never |= _after(data, at, 0xF4, left, _F4) & bytes_between(data, at, 0x90, 0xBF)
    return bool(never == 0 and due == bytes_between(data, at, 0x80, 0xBF))


@uncounted
def _are_right(data: NDArray[np.uint8], end: NDArray[np.uint8], left: NDArray[np.uint64]) -> bool:
    whole = data.shape[0] // _BLOCK * _BLOCK
    for at in range(0, whole, _BLOCK):
        if (left[_DUE] != 0 or bytes_between(data, at, 0x80, 0xFF) != 0) and not _is_right(data, at, left):
            return False
    return _is_right(end, 0, left)


def is_utf8(data: NDArray[np.uint8]) -> bool:
    """data: read-only."""
    rest = len(data) % _BLOCK
    end = np.zeros(_BLOCK, np.uint8)  # at least one zero: no character continues past the end
    end[:rest] = data[len(data) - rest :]
    return _are_right(data, end, np.zeros(_LEFT, np.uint64))
