"""Normalises words by a table from each character to symbols of the model's pieces.

Twin: tests/reference/sentencepiece_lines.py::Pair
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, uncounted
from corpora.encoding.cache.word_cache import Words

LONGEST_WORD = 1 << 16  # bytes; a line with a longer word is left to SentencePiece
SLOW = -1  # what the character becomes depends on its neighbours
BY_HAND, TOO_LONG = 1, 2  # why a word got no symbols
RUN_BITS = 5  # bits for the length of a run


@inlined
def utf8_size(first: int) -> int:
    """The number of bytes of a UTF-8 character, from its first byte."""
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


@inlined
def code_point(data: NDArray[np.uint8], position: int, size: int) -> int:
    """The character of `size` bytes at `position`."""
    code = int(np.int64(data[position])) & (0x7F if size == 1 else 0x7F >> size)
    for byte in range(1, size):
        code = code << 6 | (int(np.int64(data[position + byte])) & 63)
    return code


@inlined
def _put(symbols: NDArray[np.int32], end: int, symbol: int | np.int64, space: int, keeps_spaces: bool) -> int:
    """Writes a symbol and returns the new end; a space after a space is dropped unless `keeps_spaces`."""
    symbols[end] = symbol
    return end + (0 if symbol == space and symbols[end - 1] == space and not keeps_spaces else 1)


@inlined
def _normalise_word(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    table: NDArray[np.int32],
    runs: NDArray[np.int32],
    space: int,
    keeps_spaces: bool,
    symbols: NDArray[np.int32],
    end: int,
) -> tuple[int, int]:
    """Writes the symbols of the word data[position:stop]. Returns their end, and why it is slow (0: it isn't)."""
    if stop - position > LONGEST_WORD:
        return end, TOO_LONG
    while position < stop:
        size = utf8_size(data[position])
        code = code_point(data, position, size)
        position += size
        becomes = np.int64(table[code]) if code < table.shape[0] else SLOW
        if becomes == SLOW:
            return end, BY_HAND
        if becomes & 1 == 0:  # one symbol, as for nearly all characters
            end = _put(symbols, end, becomes >> 1, space, keeps_spaces)
            continue
        run = becomes >> (1 + RUN_BITS)
        for place in range(run, run + ((becomes >> 1) & ((1 << RUN_BITS) - 1))):
            end = _put(symbols, end, runs[place], space, keeps_spaces)
    return end, 0


@uncounted
def normalised(
    data: NDArray[np.uint8],
    words: Words,
    chosen: NDArray[np.int64],
    table: NDArray[np.int32],
    runs: NDArray[np.int32],
    space: int,
    keeps_spaces: bool,
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    why_slow: NDArray[np.uint8],
) -> int:
    """The symbols of the chosen words, a space before each. Spaces are collapsed unless `keeps_spaces`.

    Returns how many words are slow.

    table: for each code point SLOW, 2 * symbol, or 2 * (start << RUN_BITS | length) + 1 for a run of symbols in
    `runs`. space: the symbol of a space. Word w gets `symbols[starts[w]:starts[w + 1]]`, which is empty if nothing is
    left of the word, or if it is slow; why_slow says why (0: it isn't).
    """
    end, slow = 0, 0
    starts[0] = 0
    for number in range(chosen.shape[0]):
        begin, start = end, words.starts[chosen[number]]
        stop = start + words.lengths[chosen[number]]
        symbols[begin] = space
        end, why = _normalise_word(data, start, stop, table, runs, space, keeps_spaces, symbols, begin + 1)
        if why != 0:
            end = begin
            slow += 1
        # A word loses the spaces at its end; a word that became only spaces loses everything.
        while end > begin and symbols[end - 1] == space and not keeps_spaces:
            end -= 1
        why_slow[number] = why
        starts[number + 1] = end
    return slow
