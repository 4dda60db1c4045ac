"""Kernels that cut text into words where these are not what stands between two separators.

See `word_cache.scan` for what all cuts take and give. Here a line is a document.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, kernel, load_uint64, trailing_zeros
from corpora.encoding.word_cache import LineEnds, Words, eight_bytes, finished, lowest_bytes, mixed
from corpora.encoding.word_symbols import code_point

OTHER, LETTER, NUMBER, WHITE = 0, 1, 2, 3  # classes of characters
_EACH, _HIGH_BITS, _LOW_SEVEN = (np.uint64(byte * 0x0101010101010101) for byte in (0x01, 0x80, 0x7F))
_SPACE, _APOSTROPHE = ord(" "), ord("'")
_S, _T, _M, _D, _R, _E, _V, _L = map(ord, "stmdrevl")


@kernel
def _hash(data: NDArray[np.uint8], position: int, stop: int) -> np.uint64:
    """Of the bytes from `position` to `stop`, by eights; see `finished`."""
    hashed = np.uint64(0)
    while stop - position >= 8:
        hashed = mixed(hashed ^ eight_bytes(data, position))
        position += 8
    return np.uint64(mixed(hashed ^ lowest_bytes(eight_bytes(data, position), stop - position)))


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


@inlined
def _size(first: int) -> int:
    """Of a character in UTF-8, by its first byte."""
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


@inlined
def _class(data: NDArray[np.uint8], position: int, classes: NDArray[np.uint8]) -> int:
    first = data[position]
    return int(classes[first if first < 0x80 else code_point(data, position, _size(first))])


@inlined
def _latin_letters(loaded: np.uint64) -> int:
    """How many of eight bytes, from the lowest on, are letters a-z, A-Z, or whole letters U+00C0 to U+00FF."""
    lowered = (loaded | _EACH * np.uint64(0x20)) & (_EACH * np.uint64(0x7F))
    from_a = lowered + _EACH * np.uint64(0x80 - ord("a"))  # the high bit of a byte says so
    after_z = lowered + _EACH * np.uint64(0x80 - ord("z") - 1)
    letters = from_a & ~after_z & ~loaded
    not_c3 = ((loaded ^ _EACH * np.uint64(0xC3)) & _LOW_SEVEN) + _LOW_SEVEN | (loaded ^ _EACH * np.uint64(0xC3))
    signs = (loaded & _EACH * np.uint64(0x5F)) ^ _EACH * np.uint64(0x17)  # 0 in 0x97 and 0xB7: U+00D7 and U+00F7
    continues = loaded & ~(loaded << np.uint64(1)) & (signs + _LOW_SEVEN)
    pairs = ~not_c3 & _HIGH_BITS & (continues >> np.uint64(8))
    others = ~(letters | pairs | (pairs << np.uint64(8))) & _HIGH_BITS
    return trailing_zeros(others) >> 3 if others != 0 else 8


@inlined
def _contraction(data: NDArray[np.uint8], position: int, stop: int) -> int:
    """Bytes of 's 't 'm 'd 're 've 'll at `position`; 0: none is there."""
    if data[position] != _APOSTROPHE or position + 1 >= stop:
        return 0
    second = data[position + 1]
    if second == _S or second == _T or second == _M or second == _D:  # noqa: SIM109 (kernels have no tuples)
        return 2
    if position + 2 >= stop:
        return 0
    third = data[position + 2]
    if third == _E:
        return 3 if second == _R or second == _V else 0  # noqa: SIM109
    return 3 if second == _L and third == _L else 0


@kernel  # not inlined: what is rare would slow down the loop
def _word_end(data: NDArray[np.uint8], start: int, stop: int, classes: NDArray[np.uint8]) -> int:
    """The end of the word that begins at `start`, character by character."""
    short = _contraction(data, start, stop)
    if short > 0:
        return start + short
    position, kind = start, _class(data, start, classes)
    if data[start] == _SPACE and start + 1 < stop:
        after = _class(data, start + 1, classes)
        position += 1 if after != WHITE else 0
        kind = after
    last = position
    while position < stop and _class(data, position, classes) == kind:
        last = position
        position += _size(data[position])
    # The last space of several goes with what follows, or stands alone.
    return last if kind == WHITE and position < stop and last > start else position


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
        body = start + (1 if data[start] == _SPACE else 0)
        position, hashed, loaded, found = body, np.uint64(0), np.uint64(0), 8
        while found == 8 and position + 8 <= data.shape[0]:
            loaded = np.uint64(load_uint64(data, position))
            found = _latin_letters(loaded)
            hashed = mixed(hashed ^ (loaded if found == 8 else lowest_bytes(loaded, found)))
            position += found
        if found == 0 and position == body and body + 8 <= stop and data[body] < 0x80 and data[start] != _APOSTROPHE:
            kind = classes[data[body]]
            while position < body + 7 and data[position] < 0x80 and classes[data[position]] == kind:
                position += 1
            if position == body + 7 or (kind == WHITE and position > start + 1):
                position = body
            hashed = mixed(lowest_bytes(loaded, position - body))
        if found == 8 or position == body or position > stop or (position < stop and data[position] >= 0x80):
            position = _word_end(data, start, stop, classes)
            hashed = _hash(data, body, position)
        words.starts[count], words.lengths[count] = start, position - start
        words.hashes[count] = finished(hashed, position - start)
        count += 1
    state[0], state[1] = document, position
    return count, lines
