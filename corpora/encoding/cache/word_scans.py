"""Kernels that cut text into words: at separators, or together with their spaces, for models that keep every space.

Twin: tests/reference/spaced_words.py::words_of, tests/reference/spaced_words.py::spaced_words_of
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import bytes_between, inlined, trailing_zeros, uncounted
from corpora.encoding.cache.word_cache import (
    LineEnds,
    Words,
    eight_bytes,
    finished,
    lowest_bytes,
    mixed,
    some_bytes,
)

_SPACE, _BLOCK = ord(" "), 64
_ONE, _LAST = np.uint64(1), np.uint64(_BLOCK - 1)
_LOW_BITS, _HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)


@inlined
def _zero_bytes(value: np.uint64) -> np.uint64:
    """Sets the high bit of the first byte that is 0, of no byte before it, and perhaps of bytes after it."""
    return (value - _LOW_BITS) & ~value & _HIGH_BITS


@uncounted
def scan(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    state: NDArray[np.int64],
    newline: int,
    ends_line: bool,
    most_bytes: int,
    words: Words,
    line_ends: LineEnds,
    lines_of: NDArray[np.int64],
) -> tuple[int, int]:
    """Cuts a block of text into words and lines. Returns how many of each.

    A block has at most `most_bytes` and one more word. Document d is `data[offsets[d]:offsets[d + 1]]`.
    state: (document, position, start of the line) where this block begins; moved to where the next one begins. Words
    are separated by spaces and by `newline` (pass a space to have no other separator), which also ends the line if
    `ends_line`. lines_of[d] counts the document's lines.
    """
    spaces, newlines = np.uint64(ord(" ")) * _LOW_BITS, np.uint64(newline) * _LOW_BITS
    document, position, line_start = state[0], state[1], state[2]
    begin, count, lines = position, 0, 0
    while document < offsets.shape[0] - 1:
        if count == words.starts.shape[0] or lines == line_ends.words.shape[0] or position - begin >= most_bytes:
            break
        start, stop, hashed = position, offsets[document + 1], np.uint64(0)
        while True:
            loaded = eight_bytes(data, position)
            found = _zero_bytes(loaded ^ spaces) | _zero_bytes(loaded ^ newlines)
            if stop - position < 8:
                found |= np.uint64(0x80) << np.uint64(8 * (stop - position))
            if found != 0:
                bytes_left = trailing_zeros(found) >> 3
                hashed = mixed(hashed ^ lowest_bytes(loaded, bytes_left))
                position += bytes_left
                break
            hashed = mixed(hashed ^ loaded)
            position += 8
        if position > start:
            words.starts[count], words.lengths[count] = start, position - start
            words.hashes[count] = finished(hashed, position - start)
            count += 1
        document_ends = position >= stop
        if document_ends or (ends_line and data[position] == newline):
            line_ends.words[lines], line_ends.starts[lines], line_ends.stops[lines] = count, line_start, position
            lines += 1
            lines_of[document] += 1
            line_start = position + (0 if document_ends else 1)
        document += 1 if document_ends else 0
        position += 0 if document_ends else 1
    state[0], state[1], state[2] = document, position, line_start
    return count, lines


@inlined
def _hash(data: NDArray[np.uint8], position: int, length: int) -> np.uint64:
    """The hash of the bytes from `position` on, eight at a time; see `finished`. Most words need no branch."""
    hashed = mixed(some_bytes(data, position, length)) ^ some_bytes(data, position + 8, length - 8)
    place = 16
    while place < length:
        hashed = mixed(hashed) ^ some_bytes(data, position + place, length - place)
        place += 8
    return finished(mixed(hashed), length)


@inlined
def _spaces(data: NDArray[np.uint8], position: int, stop: int) -> np.uint64:
    """The spaces among 64 bytes, as bits; bytes from `stop` on don't count."""
    if position + _BLOCK <= data.shape[0]:
        found = np.uint64(bytes_between(data, position, _SPACE, _SPACE))
    else:
        found = np.uint64(0)
        for place in range(data.shape[0] - position):
            found |= np.uint64(data[position + place] == _SPACE) << np.uint64(place)
    return found & ((_ONE << np.uint64(stop - position)) - _ONE) if stop - position < _BLOCK else found


@uncounted
def scan_spaced(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    state: NDArray[np.int64],
    most_bytes: int,
    words: Words,
    line_ends: LineEnds,
    lines_of: NDArray[np.int64],
) -> tuple[int, int]:
    """Words for models that keep every space: a word is any number of spaces, then everything up to the next space.

    The space before a word isn't in it: the first word of a text gets one from SentencePiece. A space that ends the
    text has an empty word after it.
    """
    document, start, count, lines, begin = state[0], state[1], 0, 0, state[1]
    while document < offsets.shape[0] - 1:
        if count == words.starts.shape[0] or lines == line_ends.words.shape[0] or start - begin >= most_bytes:
            break
        stop, position, before, full = offsets[document + 1], start, _ONE, False
        while position < stop and not full:
            spaces = _spaces(data, position, stop)
            ends = spaces & ~(spaces << _ONE | before)  # spaces that follow a non-space
            while ends != 0 and not full:
                end = position + trailing_zeros(ends)
                ends &= ends - _ONE
                words.starts[count], words.lengths[count] = start, end - start
                words.hashes[count] = _hash(data, start, end - start)
                start, count = end + 1, count + 1
                full = count == words.starts.shape[0] or start - begin >= most_bytes
            before, position = spaces >> _LAST, position + _BLOCK
        if full:
            break
        if stop > offsets[document]:
            words.starts[count], words.lengths[count] = start, stop - start
            words.hashes[count] = _hash(data, start, stop - start)
            count += 1
        line_ends.words[lines], line_ends.starts[lines], line_ends.stops[lines] = count, offsets[document], stop
        lines_of[document] = 1
        lines, document, start = lines + 1, document + 1, stop
    state[0], state[1] = document, start
    return count, lines
