"""Kernels that write out the cached values (pieces, ids) of a block's words, line after line.

Twin: tests/reference/sentencepiece_lines.py::Pair
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, prefetch, uncounted
from corpora.encoding.cache.word_cache import AHEAD, COST, EIGHT, INLINE, LIMIT, PIECES, SLOT, Cache, Words

WRITTEN = 4  # values written for each word, even if it has fewer
_MOST_PIECES = 1 << 18  # pieces of a line up to which _DRIFT bounds its float32 score
_DRIFT = 1.02  # more than (1 + 2**-24) ** _MOST_PIECES, and the rounding of costs


@uncounted
def count_pieces(words: Words, count: int, cache: Cache) -> int:
    total = 0
    for word in range(count):
        if word + AHEAD < count:
            prefetch(cache.slots, words.entries[word + AHEAD] * SLOT)
        slot, entry = np.uint64(words.entries[word]), ~words.entries[word]
        if entry < 0:
            total += int(np.int64(cache.slots[slot, np.uint64(2)] >> EIGHT))
        else:
            total += int(np.int64(cache.entries[entry].count))
    return total


@inlined
def _write_slot(
    cache: Cache, slot: np.uint64, pool: NDArray[np.uint32], values: NDArray[np.unsignedinteger], end: int
) -> int:
    """Writes the values of a short word from values[end] on. Returns how many."""
    numbers, length = cache.slot_numbers, int(np.int64(cache.slots[slot, np.uint64(2)] >> EIGHT))
    for piece in range(WRITTEN):  # a fixed number, so the loop is unrolled: most words have no more
        values[end + piece] = numbers[slot, np.uint64(PIECES + piece)]
    if length > INLINE:  # the slot holds their place instead: overwrite what was just written
        first = int(np.int64(numbers[slot, np.uint64(PIECES)]))
        for piece in range(length):
            values[end + piece] = pool[first + piece]
    else:
        for piece in range(WRITTEN, length):
            values[end + piece] = numbers[slot, np.uint64(PIECES + piece)]
    return length


@inlined
def _write_entry(
    entries: NDArray[np.void], entry: int, pool: NDArray[np.uint32], values: NDArray[np.unsignedinteger], end: int
) -> int:
    """As `_write_slot`, for a word that has an entry."""
    first, length = int(np.int64(entries[entry].pieces)), int(np.int64(entries[entry].count))
    for piece in range(length):
        values[end + piece] = pool[first + piece]
    return length


@uncounted
def expand(
    words: Words,
    count: int,
    line_words: NDArray[np.int64],
    cache: Cache,
    pool: NDArray[np.uint32],
    alone: bool,
    carried: NDArray[np.float64],
    values: NDArray[np.unsignedinteger],
    ends: NDArray[np.int64],
    unsafe_lines: NDArray[np.int64],
) -> int:
    """Writes the values of a block's words, where each line ends among them, and which lines are unsafe.

    There must be room for WRITTEN values after the last one.
    line_words: the number of the block's words up to the end of each line. carried: (magnitude of the score, pieces
    so far, 1 if unsafe) of the line that continues from the block before and into the next. That score is exact;
    SentencePiece's float32 score drifts from it by at most 2**-24 of itself per piece, as long as it chooses the same
    pieces. A line in which it might choose others is unsafe. alone: no word depends on that score. Returns how many
    lines are unsafe.
    """
    cost, pieces, unsafe = carried[0], carried[1], carried[2] != 0
    entries, slots, floats = cache.entries, cache.slots, cache.slot_floats
    word, end, found = 0, 0, 0
    for line in range(ends.shape[0] + 1):
        stop = line_words[line] if line < ends.shape[0] else count
        while word < stop:
            if word + AHEAD < count:
                prefetch(slots, words.entries[word + AHEAD] * SLOT)
            slot, entry = np.uint64(words.entries[word]), ~words.entries[word]
            if entry < 0:
                unsafe |= cost * _DRIFT > floats[slot, np.uint64(LIMIT)]
                cost += 0.0 if alone else np.float64(floats[slot, np.uint64(COST)])
                length = _write_slot(cache, slot, pool, values, end)
            else:
                unsafe |= cost * _DRIFT > entries[entry].limit
                cost += 0.0 if alone else np.float64(entries[entry].cost)
                length = _write_entry(entries, entry, pool, values, end)
            end += length
            pieces += length
            word += 1
        if line == ends.shape[0]:
            break  # the last line continues in the next block
        ends[line] = end
        if unsafe or (pieces > _MOST_PIECES and not alone):
            unsafe_lines[found] = line
            found += 1
        cost, pieces, unsafe = 0.0, 0.0, False
    carried[0], carried[1], carried[2] = cost, pieces, 1.0 if unsafe else 0.0
    return found
