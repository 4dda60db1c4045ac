"""Kernels that cut text into words where these are not what stands between two separators.

See `word_cache.scan` for what all cuts take and give. Here a line is a document.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import bytes_between, inlined, trailing_zeros, uncounted
from corpora.encoding.cache.word_cache import LineEnds, Words, finished, mixed, some_bytes

_SPACE, _BLOCK = ord(" "), 64
_ONE, _LAST = np.uint64(1), np.uint64(_BLOCK - 1)


@inlined
def _hash(data: NDArray[np.uint8], position: int, length: int) -> np.uint64:
    """Of the bytes from `position` on, by eights; see `finished`. Most words take the one way without branches."""
    hashed = mixed(some_bytes(data, position, length)) ^ some_bytes(data, position + 8, length - 8)
    place = 16
    while place < length:
        hashed = mixed(hashed) ^ some_bytes(data, position + place, length - place)
        place += 8
    return finished(mixed(hashed), length)


@inlined
def _spaces(data: NDArray[np.uint8], position: int, stop: int) -> np.uint64:
    """Which of 64 bytes are spaces; none from `stop` on."""
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
    """Words of models that keep every space: a word is any number of spaces, then what follows up to the next.

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
            ends = spaces & ~(spaces << _ONE | before)  # spaces after what is none
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
