"""Kernels that count the words of a text in a hash table. See WordTable for the content of the arrays.

Twin: tests/reference/words.py::words_of
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, load_uint64, uncounted
from corpora.text.murmur import murmur

WORD, SKIP, LINE, SPACE = 0, 1, 2, 3  # classes of bytes
FREE = -1
SPARE = 8  # bytes that may be read past the end of a text

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]


@inlined
def _equal(a: Bytes, a_start: int, b: Bytes, b_start: int, length: int) -> bool:
    """Whether two byte ranges are equal. Both arrays have SPARE readable bytes after them."""
    position = 0
    while position + 8 <= length:
        if load_uint64(a, a_start + position) != load_uint64(b, b_start + position):
            return False
        position += 8
    rest = length - position
    if rest == 0:
        return True
    mask = (np.uint64(1) << np.uint64(8 * rest)) - np.uint64(1)
    different = load_uint64(a, a_start + position) ^ load_uint64(b, b_start + position)
    return bool((different & mask) == np.uint64(0))


@inlined
def _add(
    text: Bytes,
    start: int,
    length: int,
    count: int,
    cells: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    counts: Longs,
    ends: Longs,
    names: Bytes,
    words: int,
) -> int:
    """Adds `count` to the word text[start:start + length]. Returns the number of words in the table."""
    key = murmur(text, start, length)
    mask = np.uint64(cells.shape[0] - 1)
    cell = key & mask
    while cells[cell] != FREE:
        word = cells[cell]
        same = hashes[word] == key and ends[word + 1] - ends[word] == length
        if same and _equal(names, ends[word], text, start, length):
            counts[word] += count
            return words
        cell = (cell + np.uint64(1)) & mask
    cells[cell] = words
    hashes[words], counts[words] = key, count
    place = ends[words]
    for i in range(length):
        names[place + i] = text[start + i]
    ends[words + 1] = place + length
    return words + 1


@uncounted
def count_words(
    text: Bytes,
    position: int,
    length: int,
    longest: int,
    classes: Bytes,
    cells: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    counts: Longs,
    ends: Longs,
    names: Bytes,
    state: Longs,
) -> int:
    """Counts the words of text[position:length], whose last byte has class SKIP. Returns where it stopped.

    It stops early when the table is full. A word is a run of LINE, or a run of SPACE followed by a run of WORD
    (either may be empty). Longer words are cut between characters into words of at most `longest` bytes.
    state: distinct words, words counted, words cut.
    """
    words, counted, cut = state[0], state[1], state[2]
    while position < length:
        kind = classes[text[position]]
        if kind == SKIP:
            position += 1
            continue
        if words == counts.shape[0] or ends[words] + longest > names.shape[0] - SPARE:
            break
        start = position
        if kind == LINE:
            while classes[text[position]] == LINE:
                position += 1
        else:
            while classes[text[position]] == SPACE:
                position += 1
            while classes[text[position]] == WORD:
                position += 1
        if position - start > longest:
            position = start + longest
            while text[position] & 0xC0 == 0x80:
                position -= 1
            cut += 1
        words = _add(text, start, position - start, 1, cells, hashes, counts, ends, names, words)
        counted += 1
    state[0], state[1], state[2] = words, counted, cut
    return position


@uncounted
def add_words(
    text: Bytes,
    offsets: Longs,
    numbers: Longs,
    first: int,
    cells: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    counts: Longs,
    ends: Longs,
    names: Bytes,
    state: Longs,
) -> int:
    """Adds numbers[k] to word k, text[offsets[k]:offsets[k + 1]], from `first` on. Returns the first k left."""
    words = state[0]
    k = first
    while k < numbers.shape[0]:
        length = offsets[k + 1] - offsets[k]
        if words == counts.shape[0] or ends[words] + length > names.shape[0] - SPARE:
            break
        words = _add(text, offsets[k], length, numbers[k], cells, hashes, counts, ends, names, words)
        k += 1
    state[0] = words
    return k


@uncounted
def fill_cells(hashes: NDArray[np.uint64], words: int, cells: NDArray[np.int32]) -> None:
    """Inserts the first `words` words into empty cells (after the table has grown)."""
    mask = np.uint64(cells.shape[0] - 1)
    for word in range(words):
        cell = hashes[word] & mask
        while cells[cell] != FREE:
            cell = (cell + np.uint64(1)) & mask
        cells[cell] = word
