"""Kernels that cut text into words where these are not what stands between two separators.

See `word_cache.scan` for what all cuts take and give. Here a line is a document.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, kernel
from corpora.encoding.word_cache import LineEnds, Words, eight_bytes, finished, lowest_bytes, mixed
from corpora.encoding.word_symbols import code_point

OTHER, LETTER, NUMBER, WHITE = 0, 1, 2, 3  # classes of characters
_SPACE, _APOSTROPHE = ord(" "), ord("'")
_S, _T, _M, _D, _R, _E, _V, _L = map(ord, "stmdrevl")


@inlined
def _add(data: NDArray[np.uint8], words: Words, count: int, start: int, stop: int) -> None:
    """Writes word `count`, of the bytes from `start` to `stop`."""
    hashed, position = np.uint64(0), start
    while stop - position >= 8:
        hashed = mixed(hashed ^ eight_bytes(data, position))
        position += 8
    hashed = mixed(hashed ^ lowest_bytes(eight_bytes(data, position), stop - position))
    words.starts[count], words.lengths[count] = start, stop - start
    words.hashes[count] = finished(hashed, stop - start)


@kernel
def scan_spaced(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    state: NDArray[np.int64],
    most_bytes: int,
    words: Words,
    line_ends: LineEnds,
    lines_of: NDArray[np.int64],
) -> tuple[int, int]:
    """Words of models that keep every space: a word is any number of spaces, then what follows up to the next.

    The space before a word isn't in it: the first word of a text gets one from SentencePiece. A space that ends the
    text has an empty word after it.
    """
    document, position = state[0], state[1]
    begin, count, lines = position, 0, 0
    while document < offsets.shape[0] - 1:
        if count == words.starts.shape[0] or lines == line_ends.words.shape[0] or position - begin >= most_bytes:
            break
        start, stop = position, offsets[document + 1]
        while position < stop and data[position] == _SPACE:
            position += 1
        while position < stop and data[position] != _SPACE:
            position += 1
        if stop > offsets[document]:
            _add(data, words, count, start, position)
            count += 1
        if position < stop:
            position += 1
            continue
        line_ends.words[lines], line_ends.starts[lines], line_ends.stops[lines] = count, offsets[document], stop
        lines_of[document] = 1
        lines += 1
        document += 1
    state[0], state[1] = document, position
    return count, lines


@inlined
def _size(first: int) -> int:
    """Of a character in UTF-8, by its first byte."""
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


@inlined
def _class(data: NDArray[np.uint8], position: int, classes: NDArray[np.uint8]) -> int:
    first = data[position]
    return classes[first] if first < 0x80 else classes[code_point(data, position, _size(first))]


@inlined
def _contraction(data: NDArray[np.uint8], position: int, stop: int) -> int:
    """Bytes of 's 't 'm 'd 're 've 'll at `position`; 0: none is there."""
    if data[position] != _APOSTROPHE or position + 1 >= stop:
        return 0
    second = data[position + 1]
    if second == _S or second == _T or second == _M or second == _D:
        return 2
    if position + 2 >= stop:
        return 0
    third = data[position + 2]
    long = (second == _R or second == _V) and third == _E
    return 3 if long or (second == _L and third == _L) else 0


@kernel
def scan_gpt2(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    state: NDArray[np.int64],
    most_bytes: int,
    classes: NDArray[np.uint8],
    words: Words,
    line_ends: LineEnds,
    lines_of: NDArray[np.int64],
) -> tuple[int, int]:
    r"""Words of GPT-2's pattern: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.

    classes: of each code point.
    """
    document, position = state[0], state[1]
    begin, count, lines = position, 0, 0
    while document < offsets.shape[0] - 1:
        if count == words.starts.shape[0] or lines == line_ends.words.shape[0] or position - begin >= most_bytes:
            break
        start, stop = position, offsets[document + 1]
        if start >= stop:
            line_ends.words[lines], line_ends.starts[lines], line_ends.stops[lines] = count, offsets[document], stop
            lines_of[document] = 1
            lines += 1
            document += 1
            continue
        kind = _class(data, position, classes)
        short = _contraction(data, position, stop)
        if kind == WHITE and data[position] == _SPACE and position + 1 < stop:
            after = _class(data, position + 1, classes)
            if after != WHITE:
                kind = after
                position += 1
        if short > 0:
            position += short
        else:
            last = position
            while position < stop and _class(data, position, classes) == kind:
                last = position
                position += _size(data[position])
            if kind == WHITE and position < stop and last > start:
                position = last  # the last space of several goes with what follows, or stands alone
        _add(data, words, count, start, position)
        count += 1
    state[0], state[1] = document, position
    return count, lines
