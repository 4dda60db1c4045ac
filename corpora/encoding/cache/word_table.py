"""A cache of words with their ids beside them, one or two cache lines each, and the kernels that encode with it.

Words of up to 16 bytes are kept in the `short` table, words of up to 64 bytes in the `long` one. A longer word, or
a word with more ids than fit, is merged each time it occurs.

Twin: tests/reference/greedy_merges.py::merge
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, prefetch, uncounted
from corpora.encoding.cache.bpe_merges import ByteMerges, Room, merge_bytes, room_for
from corpora.encoding.cache.word_cache import power_of_two, some_bytes, zero_slots

# A slot: the word's bytes; its length | ids << 8, or 0 if it is free; the ids, two in each uint64.
SHORT_KEY, SHORT_SLOT = 2, 8
LONG_KEY, LONG_SLOT = 8, 16
REFUSED, MERGED = 0, 1  # indices in `Words.counts`
WRITTEN = 4  # ids written for each short word, even if it has fewer
_BYTE, _HALF, _LOW = np.uint64(0xFF), np.uint64(32), np.uint64(0xFFFFFFFF)
_FIRST, _SECOND, _THIRD = map(np.uint64, (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


class Table(NamedTuple):
    """slots: uint64[a power of two, SHORT_SLOT or LONG_SLOT]; when three quarters are taken, all are freed."""

    slots: NDArray[np.uint64]
    taken: NDArray[np.int64]  # [1]


class Words(NamedTuple):
    """Room for a few words. Word k is `data[starts[k]:starts[k + 1]]`; keys: three per word.

    room: for the symbols of one word. counts: words REFUSED because they have too many symbols (they get no ids), and
    bytes MERGED, of words that were in no table.
    """

    starts: NDArray[np.int64]
    keys: NDArray[np.uint64]
    room: Room
    counts: NDArray[np.int64]


def new_table(cache_bytes: int, width: int) -> Table:
    """A table of at most `cache_bytes`, but at least 16 slots."""
    slots = power_of_two(cache_bytes // (8 * width), 4)
    return Table(zero_slots(slots, width), np.zeros(1, np.int64))


def room_for_words(count: int, longest: int) -> Words:
    """longest: the most symbols of a word."""
    return Words(
        np.empty(count + 1, np.int64), np.empty(3 * count, np.uint64), room_for(longest), np.zeros(2, np.int64)
    )


@inlined
def _hash(first: np.uint64, second: np.uint64, length: int) -> np.uint64:
    """A 32-bit hash."""
    hashed = (first ^ np.uint64(length)) * _FIRST + second * _SECOND
    return (hashed ^ hashed >> _HALF) * _THIRD >> _HALF


@inlined
def _id(slots: NDArray[np.uint64], slot: int, key: int, number: int) -> np.uint64:
    return np.uint64(slots[slot, key + 1 + (number >> 1)] >> (_HALF * np.uint64(number & 1)) & _LOW)


@inlined
def _merged(data: NDArray[np.uint8], start: int, length: int, merges: ByteMerges, words: Words) -> int:
    """Puts a word's ids into `words.room.line`. Returns how many."""
    if length > words.room.line.shape[0]:
        words.counts[REFUSED] += 1
        return 0
    words.counts[MERGED] += length
    return merge_bytes(data, start, length, merges, words.room)


@inlined
def _keep(table: Table, slot: int, key: int, length: int, line: NDArray[np.int64], count: int) -> None:
    """Takes the slot, whose key is already written, if the ids fit into it."""
    slots = table.slots
    if count <= 2 * (slots.shape[1] - key - 1):
        for place in range(key + 1, slots.shape[1]):
            slots[slot, place] = 0
        for number in range(count):
            slots[slot, key + 1 + (number >> 1)] |= np.uint64(line[number]) << (_HALF * np.uint64(number & 1))
        slots[slot, key] = np.uint64(length | count << 8)
        table.taken[0] += 1
        if table.taken[0] > slots.shape[0] - (slots.shape[0] >> 2):
            slots[:] = 0
            table.taken[0] = 0


@inlined
def _find_long(data: NDArray[np.uint8], start: int, length: int, slots: NDArray[np.uint64]) -> int:
    """The slot of a word of at most 64 bytes, or a free slot, to which its bytes are written."""
    hashed, mask = np.uint64(length), slots.shape[0] - 1
    for place in range(LONG_KEY):
        hashed = (hashed ^ some_bytes(data, start + 8 * place, length - 8 * place)) * _FIRST
        hashed ^= hashed >> _HALF
    slot: int = int(np.int64(hashed * _SECOND >> _HALF)) & mask
    while slots[slot, LONG_KEY] != 0:
        same = np.int64(slots[slot, LONG_KEY] & _BYTE) == length
        for place in range(LONG_KEY):
            same &= slots[slot, place] == some_bytes(data, start + 8 * place, length - 8 * place)
        if same:
            return slot
        slot = (slot + 1) & mask
    for place in range(LONG_KEY):
        slots[slot, place] = some_bytes(data, start + 8 * place, length - 8 * place)
    return slot


@uncounted
def _write_long(
    data: NDArray[np.uint8],
    start: int,
    length: int,
    table: Table,
    merges: ByteMerges,
    words: Words,
    out: NDArray[np.unsignedinteger],
    end: int,
) -> int:
    """Writes the ids of a word of more than 16 bytes. Returns where they end."""
    slot = -1
    if length <= 8 * LONG_KEY:
        slot = _find_long(data, start, length, table.slots)
        count = int(np.int64(table.slots[slot, LONG_KEY] >> np.uint64(8)))
        if count > 0:
            for number in range(count):
                out[end + number] = _id(table.slots, slot, LONG_KEY, number)
            return end + count
    count = _merged(data, start, length, merges, words)
    for number in range(count):
        out[end + number] = words.room.line[number]
    if slot >= 0:
        _keep(table, slot, LONG_KEY, length, words.room.line, count)
    return end + count


@uncounted
def write_words(
    data: NDArray[np.uint8],
    words: Words,
    count: int,
    short: Table,
    long: Table,
    merges: ByteMerges,
    out: NDArray[np.unsignedinteger],
    end: int,
) -> int:
    """Writes the ids of the first `count` words from out[end] on. Returns where they end; WRITTEN more are touched.

    Words that are not in their table yet are added. Positions are uint64, so that numba doesn't check for negative
    indices.
    """
    starts, keys, slots = words.starts, words.keys, short.slots.reshape(-1)
    one, last = np.uint64(1), np.uint64(short.slots.shape[0] - 1)
    for word in range(count):
        start, length = starts[word], starts[word + 1] - starts[word]
        first, second = some_bytes(data, start, length), some_bytes(data, start + 8, length - 8)
        place = (_hash(first, second, length) & last) * np.uint64(SHORT_SLOT)
        prefetch(slots, int(np.int64(place)))
        keys[3 * word], keys[3 * word + 1], keys[3 * word + 2] = first, second, place
    at = np.uint64(end)
    for word in range(count):
        start, length = starts[word], starts[word + 1] - starts[word]
        if length > 8 * SHORT_KEY:
            at = np.uint64(_write_long(data, start, length, long, merges, words, out, int(np.int64(at))))
            continue
        first, second, place = keys[3 * word], keys[3 * word + 1], keys[3 * word + 2]
        while True:
            known = slots[place + np.uint64(SHORT_KEY)]
            differs = slots[place] ^ first | slots[place + one] ^ second | (known ^ np.uint64(length)) & _BYTE
            if differs == 0 or known == 0:
                break
            place = place + np.uint64(SHORT_SLOT) & last * np.uint64(SHORT_SLOT)
        slot, size = int(np.int64(place)) // SHORT_SLOT, int(np.int64(known >> np.uint64(8)))
        if known == 0:
            size = _merged(data, start, length, merges, words)
            for number in range(size):
                out[int(np.int64(at)) + number] = words.room.line[number]
            slots[place], slots[place + one] = first, second
            _keep(short, slot, SHORT_KEY, length, words.room.line, size)
        else:
            ids = place + np.uint64(SHORT_KEY + 1)
            out[at], out[at + one] = slots[ids] & _LOW, slots[ids] >> _HALF
            out[at + np.uint64(2)], out[at + np.uint64(3)] = slots[ids + one] & _LOW, slots[ids + one] >> _HALF
            for number in range(WRITTEN, size):
                out[int(np.int64(at)) + number] = _id(short.slots, slot, SHORT_KEY, number)
        at += np.uint64(size)
    return int(np.int64(at))
