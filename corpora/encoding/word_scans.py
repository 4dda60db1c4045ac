"""Kernels that cut text into words where these are not what stands between two separators.

See `word_cache.scan` for what all cuts take and give. Here a line is a document.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import uncounted
from corpora.encoding.word_cache import LineEnds, Words, eight_bytes, finished, lowest_bytes, mixed

_SPACE = ord(" ")


@uncounted
def _hash(data: NDArray[np.uint8], position: int, stop: int) -> np.uint64:
    """Of the bytes from `position` to `stop`, by eights; see `finished`."""
    hashed = np.uint64(0)
    while stop - position >= 8:
        hashed = mixed(hashed ^ eight_bytes(data, position))
        position += 8
    return np.uint64(mixed(hashed ^ lowest_bytes(eight_bytes(data, position), stop - position)))


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
            words.starts[count], words.lengths[count] = start, position - start
            words.hashes[count] = finished(_hash(data, start, position), position - start)
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
