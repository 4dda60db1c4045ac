"""A cache from words to their values (pieces, ids), and the kernels that look words up in it and fill it.

A word is the bytes between two separators. A word of at most 16 bytes has a slot: one cache line (64 bytes) with
all its data. A longer word has an entry, found by a hash table of uint64 (upper half of the hash, entry + 1; 0 is
free). Entries of words up to 64 bytes stay in the cache. A longer word has its entry for one block of text only, and
so has a short word while its values are computed.

Twin: tests/reference/sentencepiece_lines.py::Pair
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, load_uint64, prefetch, uncounted

ENTRY = np.dtype(
    [
        ("start", np.uint32),  # where the word's bytes begin in the cache's text
        ("length", np.uint32),
        ("head", np.uint64),  # the first eight bytes
        ("pieces", np.uint32),  # place of the first piece in the pool
        ("count", np.uint32),
        ("limit", np.float32),  # bound on the magnitude of the line's score before the word
        ("cost", np.float32),  # the word's part in the magnitude of the line's score
    ]
)
LONGEST_SHORT, LONGEST_CACHED = 16, 64  # bytes
SLOT = 8  # uint64 in a slot: two for the word; length | _TAKEN | pieces << 8; float32 cost, limit; uint32 pieces
COST, LIMIT, PIECES, INLINE = 6, 7, 8, 8  # indices in a slot of 16 float32 or uint32; the number of pieces it holds
AHEAD = 16  # words: slots are prefetched this far ahead
_MULTIPLIER, _LAST_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_ENTRY_MASK, _BYTE, EIGHT, _TAKEN = map(np.uint64, (0xFFFFFFFF, 0xFF, 8, 0x80))
_KEEP = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)


class Words(NamedTuple):
    """A block's words: first byte, length, hash, and slot or ~entry. Sized for the most words of a block."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    entries: NDArray[np.int64]


class LineEnds(NamedTuple):
    """Each line that ends in a block: the number of the block's words up to its end, its first byte, its end."""

    words: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class Cache(NamedTuple):
    """slots: uint64[a power of two, SLOT], and views of it. used: entries, bytes of text and slots in use.

    Half as many entries as the table has cells are permanent; the others ("passing") are used for one block. A slot
    with more than INLINE pieces holds their place in the pool instead.
    """

    slots: NDArray[np.uint64]
    slot_floats: NDArray[np.float32]
    slot_numbers: NDArray[np.uint32]
    table: NDArray[np.uint64]
    entries: NDArray[np.void]
    text: NDArray[np.uint8]
    used: NDArray[np.int64]


def power_of_two(most: int, least_exponent: int) -> int:
    """The largest power of two up to `most`, but between 2**least_exponent and 2**26."""
    return 1 << min(max(least_exponent, most.bit_length() - 1), 26)


def zero_slots(slots: int, width: int) -> NDArray[np.uint64]:
    """uint64[slots, width], each slot at the beginning of a cache line of 64 bytes."""
    found = np.zeros(slots * width + 8, np.uint64)
    first = -found.ctypes.data % 64 // 8
    return found[first : first + slots * width].reshape(slots, width)


def new_cache(slots: int, entries: int, passing: int, text_bytes: int) -> Cache:
    """slots, entries: powers of two. passing: entries that are used for one block."""
    own = zero_slots(slots, SLOT)
    table, text = np.zeros(2 * entries, np.uint64), np.empty(text_bytes, np.uint8)
    views = own.view(np.float32), own.view(np.uint32)
    return Cache(own, *views, table, np.zeros(entries + passing, ENTRY), text, np.zeros(3, np.int64))


class Fresh(NamedTuple):
    """Entries to fill and their words: permanent ones from the front, passing ones from the back."""

    entries: NDArray[np.int64]
    words: NDArray[np.int64]


@inlined
def eight_bytes(data: NDArray[np.uint8], position: int) -> np.uint64:
    """The bytes from `position` on, little-endian; zeros past the end of `data`."""
    if position + 8 <= data.shape[0]:
        return np.uint64(load_uint64(data, position))
    loaded = np.uint64(0)
    for byte in range(data.shape[0] - position):
        loaded |= np.uint64(data[position + byte]) << np.uint64(8 * byte)
    return loaded


@inlined
def lowest_bytes(value: np.uint64, count: int) -> np.uint64:
    """0 <= count < 8."""
    return value & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@inlined
def some_bytes(data: NDArray[np.uint8], position: int, count: int) -> np.uint64:
    """The first `count` of the 8 bytes from `position` on: none if negative, all 8 if larger. No branches."""
    if position + 8 <= data.shape[0]:
        loaded = np.uint64(load_uint64(data, position))
    else:
        loaded = eight_bytes(data, min(position, data.shape[0]))
    return np.uint64(loaded & _KEEP[min(max(count, 0), 8)])


@inlined
def mixed(value: np.uint64) -> np.uint64:
    product = value * _MULTIPLIER
    return product ^ (product >> np.uint64(29))


@inlined
def finished(hashed: np.uint64, length: int) -> np.uint64:
    """A word's hash, from the hash of its groups of 8 bytes and its length."""
    product = (hashed ^ np.uint64(length)) * _LAST_MULTIPLIER
    return product ^ (product >> np.uint64(32))


@inlined
def _slot_of(data: NDArray[np.uint8], start: int, length: int, hashed: np.uint64, slots: NDArray[np.uint64]) -> int:
    """The slot of a word of at most 16 bytes; or, for a new word, -1 - the free slot that now holds its bytes."""
    first, second = some_bytes(data, start, length), some_bytes(data, start + 8, length - 8)
    mask, taken = np.uint64(slots.shape[0] - 1), np.uint64(length) | _TAKEN
    slot, two = hashed & mask, np.uint64(2)
    while True:
        known = slots[slot, two]
        differs = slots[slot, np.uint64(0)] ^ first | slots[slot, np.uint64(1)] ^ second
        if differs | (known ^ taken) & _BYTE == 0:
            return int(np.int64(slot))
        if known == 0:
            slots[slot, np.uint64(0)], slots[slot, np.uint64(1)], slots[slot, two] = first, second, taken
            return -1 - int(np.int64(slot))
        slot = (slot + np.uint64(1)) & mask


@uncounted
def look_up(data: NDArray[np.uint8], words: Words, count: int, cache: Cache, fresh: Fresh) -> tuple[int, int]:
    """The slot or ~entry of each word. A new word gets an entry to fill. Returns how many are permanent, and passing.

    There must be room for `count` slots and entries of both kinds, and for the bytes of the words with entries.
    """
    used, text_end, passing, new = cache.used[0], cache.used[1], 0, 0
    slots, slot_mask = cache.slots, np.uint64(cache.slots.shape[0] - 1)
    mask, capacity = np.int64(cache.table.shape[0] - 1), cache.table.shape[0] >> 1
    for word in range(count):
        if word + AHEAD < count:
            prefetch(slots, np.int64((words.hashes[word + AHEAD] & slot_mask) * np.uint64(SLOT)))
        start, length = words.starts[word], words.lengths[word]
        if length <= LONGEST_SHORT:
            own = _slot_of(data, start, length, words.hashes[word], slots)
            words.entries[word] = own if own >= 0 else -1 - own
            if own >= 0:
                continue
            cache.used[2] += 1
        if length <= LONGEST_SHORT or length > LONGEST_CACHED:
            passing += 1
            fresh.entries[fresh.entries.shape[0] - passing] = capacity + passing - 1
            fresh.words[fresh.words.shape[0] - passing] = word
            if length > LONGEST_CACHED:
                words.entries[word] = ~(capacity + passing - 1)
            continue
        head = eight_bytes(data, start)
        tag, place = words.hashes[word] >> np.uint64(32), np.int64(words.hashes[word]) & mask
        while True:
            slot = cache.table[place]
            place = (place + 1) & mask
            if slot == 0:
                cache.table[(place - 1) & mask] = (tag << np.uint64(32)) | np.uint64(used + 1)
                cache.entries[used].start, cache.entries[used].length = text_end, length
                cache.entries[used].head = head
                for byte in range(length):
                    cache.text[text_end + byte] = data[start + byte]
                words.entries[word], fresh.entries[new], fresh.words[new] = ~used, used, word
                text_end, used, new = text_end + length, used + 1, new + 1
                break
            if (slot >> np.uint64(32)) != tag:
                continue
            entry = int(np.int64(slot & _ENTRY_MASK)) - 1
            if cache.entries[entry].head != head or cache.entries[entry].length != length:
                continue
            if _same_tail(data, start, cache.text, int(np.int64(cache.entries[entry].start)), length):
                words.entries[word] = ~entry
                break
    cache.used[0], cache.used[1] = used, text_end
    return new, passing


@uncounted
def keep(
    words: Words,
    cache: Cache,
    fresh: Fresh,
    passing: int,
    pool: NDArray[np.uint32],
    pool_next: int,
    pool_end: int,
) -> int:
    """Copies the values of the last `passing` new words to their slots, if they are short words.

    Returns the pool's next free place. A word whose values don't fit before `pool_end` gets limit -1.
    """
    for place in range(fresh.words.shape[0] - passing, fresh.words.shape[0]):
        slot, entry = words.entries[fresh.words[place]], fresh.entries[place]
        if slot < 0:
            continue
        first, count = int(np.int64(cache.entries[entry].pieces)), int(np.int64(cache.entries[entry].count))
        cache.slot_floats[slot, COST] = cache.entries[entry].cost
        cache.slot_floats[slot, LIMIT] = cache.entries[entry].limit
        cache.slots[slot, 2] |= np.uint64(count << 8)
        if count <= INLINE:
            for piece in range(count):
                cache.slot_numbers[slot, PIECES + piece] = pool[first + piece]
        elif pool_next + count > pool_end:
            cache.slots[slot, 2] &= _BYTE
            cache.slot_floats[slot, LIMIT] = -1.0
        else:
            cache.slot_numbers[slot, PIECES] = pool_next
            for piece in range(count):
                pool[pool_next + piece] = pool[first + piece]
            pool_next += count
    return pool_next


@inlined
def _same_tail(data: NDArray[np.uint8], start: int, text: NDArray[np.uint8], other: int, length: int) -> bool:
    """Whether two words longer than 8 bytes are equal after their first 8."""
    byte = 8
    while byte + 8 < length and load_uint64(data, start + byte) == load_uint64(text, other + byte):
        byte += 8
    return byte + 8 >= length and load_uint64(data, start + length - 8) == load_uint64(text, other + length - 8)
