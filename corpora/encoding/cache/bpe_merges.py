"""Byte-pair merges: lowest rank first, leftmost first among equal ranks, as in both BPE engines.

Pairs are looked up in a hash table of uint64: left symbol, right symbol (21 bits each), rank (22 bits). A free cell
is all ones.

Twin: tests/reference/greedy_merges.py::merge
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, leading_zeros, trailing_zeros, uncounted

MOST_SYMBOLS, MOST_RANKS = 1 << 21, (1 << 22) - 1
_RIGHT, _LEFT = np.uint64(22), np.uint64(43)  # bit offsets of the two symbols
_RANK = np.uint64(MOST_RANKS)
_FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = MOST_RANKS  # the rank of two symbols that don't form a pair
_NO_PAIR = _NONE << 6
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHORT = 64  # symbols; longer words are merged with a heap
_HALF, _LOW = 32, 0xFFFFFFFF


class Merges(NamedTuple):
    """slots: the table. merged: int32[ranks], the symbol that the pair of each rank becomes."""

    slots: NDArray[np.uint64]
    merged: NDArray[np.int32]


class Surfaces(NamedTuple):
    """The ids of symbols: `ids[symbol]`. Symbols from len(ids) on are code points that occur in no piece.

    Such a code point is written as `bytes_of[byte]` for each of its bytes; if `bytes_of[0]` is negative, a run of
    them is written as one `unknown`.
    """

    ids: NDArray[np.int32]
    bytes_of: NDArray[np.int32]
    unknown: int


class Room(NamedTuple):
    """Scratch memory: int64[symbols of the longest word], and int64[64 + five times that]."""

    line: NDArray[np.int64]
    work: NDArray[np.int64]


def room_for(longest: int) -> Room:
    return Room(np.empty(longest, np.int64), np.empty(5 * max(longest, _SHORT), np.int64))


class ByteMerges(NamedTuple):
    """Merges that start from bytes. symbol_of: int32[256], by byte. ranks: int32[256, 256], by pair of bytes."""

    symbol_of: NDArray[np.int32]
    ranks: NDArray[np.int32]
    merges: Merges


def byte_merges(symbol_of: NDArray[np.int32], pairs: NDArray[np.int64], merged: NDArray[np.int32]) -> ByteMerges:
    """See `merges_of`. symbol_of: the symbol of each byte."""
    byte_of = np.full(MOST_SYMBOLS, -1)
    byte_of[symbol_of] = range(256)
    left, right, rank = pairs.T
    of_bytes = (byte_of[left] >= 0) & (byte_of[right] >= 0)
    ranks = np.full((256, 256), _NONE, np.int32)
    ranks[byte_of[left[of_bytes]], byte_of[right[of_bytes]]] = rank[of_bytes]
    return ByteMerges(symbol_of, ranks, merges_of(pairs, merged))


def merges_of(pairs: NDArray[np.int64], merged: NDArray[np.int32]) -> Merges:
    """pairs: int64[pairs, 3] of (left, right, rank), each below its bound. Of two equal pairs the last one counts."""
    slots = np.full(1 << max(4, (len(pairs) * 3 // 2).bit_length()), _FREE)  # a third of the cells or more stay free
    left, right, rank = pairs.astype(np.uint64).T
    _insert(slots, left << _LEFT | right << _RIGHT | rank)
    return Merges(slots, merged)


@inlined
def _place(pair: np.uint64, mask: np.uint64) -> np.uint64:
    product = pair * _MULTIPLIER
    return (product >> np.uint64(40)) & mask


@uncounted
def _insert(slots: NDArray[np.uint64], pairs: NDArray[np.uint64]) -> None:
    mask = np.uint64(slots.shape[0] - 1)
    for number in range(pairs.shape[0]):
        place = _place(pairs[number] >> _RIGHT, mask)
        while slots[place] != _FREE and slots[place] >> _RIGHT != pairs[number] >> _RIGHT:
            place = (place + np.uint64(1)) & mask
        slots[place] = pairs[number]


@inlined
def _rank_of(slots: NDArray[np.uint64], left: int, right: int) -> int:
    """The rank of a pair of symbols, or _NONE."""
    pair = np.uint64(left) << np.uint64(21) | np.uint64(right)
    mask = np.uint64(slots.shape[0] - 1)
    place = _place(pair, mask)
    slot = slots[place]
    while slot >> _RIGHT != pair and slot != _FREE:
        place = (place + np.uint64(1)) & mask
        slot = slots[place]
    return int(np.int64(slot & _RANK))  # a free slot gives _NONE


@inlined
def _merge_short(line: NDArray[np.int64], length: int, pairs: NDArray[np.int64], merges: Merges) -> int:
    """Merges `line[:length]`, at most 64 symbols, in place. Returns how many symbols remain.

    pairs: rank << 6 | place of the pair that begins at each place, or _NO_PAIR. The bits of `left` mark the symbols
    that remain.
    """
    slots, merged, one = merges.slots, merges.merged, np.uint64(1)
    left = ((one << np.uint64(length)) if length < 64 else np.uint64(0)) - one
    while True:
        lowest = np.int64(_NO_PAIR)
        for place in range(length - 1):
            lowest = min(lowest, pairs[place])
        if lowest >= _NO_PAIR:
            break
        first = int(lowest & 63)
        after = left >> np.uint64(first) >> one
        gone = first + 1 + trailing_zeros(after)
        line[first] = merged[lowest >> 6]
        left &= ~(one << np.uint64(gone))
        pairs[first] = pairs[gone] = _NO_PAIR
        after = left >> np.uint64(first) >> one
        if after != 0:
            pairs[first] = _rank_of(slots, line[first], line[first + 1 + trailing_zeros(after)]) << 6 | first
        before = left & ((one << np.uint64(first)) - one)
        if before != 0:
            previous = 63 - leading_zeros(before)
            pairs[previous] = _rank_of(slots, line[previous], line[first]) << 6 | previous
    kept = 0
    while left != 0:
        line[kept] = line[trailing_zeros(left)]
        left &= left - one
        kept += 1
    return kept


@inlined
def _push(heap: NDArray[np.int64], size: int, key: int) -> None:
    place = size
    while place > 0 and heap[(place - 1) >> 1] > key:
        heap[place] = heap[(place - 1) >> 1]
        place = (place - 1) >> 1
    heap[place] = key


@inlined
def _pop(heap: NDArray[np.int64], size: int) -> None:
    """Removes the smallest key of `heap[:size]`."""
    moved, place = heap[size - 1], 0
    while 2 * place + 1 < size - 1:
        child = 2 * place + 1
        if child + 1 < size - 1 and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= moved:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = moved


@uncounted
def _merge_long(line: NDArray[np.int64], length: int, work: NDArray[np.int64], merges: Merges) -> int:
    """As `_merge_short`, with a heap of rank << 32 | place, and linked places. work: int64[at least 5 * length]."""
    slots, merged = merges.slots, merges.merged
    after, before, heap = work[:length], work[length : 2 * length], work[2 * length :]
    size = 0
    for place in range(length):
        after[place], before[place] = place + 1, place - 1
        rank = _rank_of(slots, line[place], line[place + 1]) if place < length - 1 else _NONE
        if rank != _NONE:
            _push(heap, size, rank << _HALF | place)
            size += 1
    while size > 0:
        top = heap[0]
        _pop(heap, size)
        size -= 1
        left = top & _LOW
        right = after[left]
        if line[left] < 0 or right >= length:
            continue
        if _rank_of(slots, line[left], line[right]) != top >> _HALF:
            continue  # the pair is no longer there
        line[left], line[right] = merged[top >> _HALF], -1
        after[left] = after[right]
        if after[left] < length:
            before[after[left]] = left
            rank = _rank_of(slots, line[left], line[after[left]])
            if rank != _NONE:
                _push(heap, size, rank << _HALF | left)
                size += 1
        if before[left] >= 0:
            rank = _rank_of(slots, line[before[left]], line[left])
            if rank != _NONE:
                _push(heap, size, rank << _HALF | before[left])
                size += 1
    kept, place = 0, 0
    while place < length:
        line[kept] = line[place]
        kept += 1
        place = after[place]
    return kept


@inlined
def merge(room: Room, length: int, merges: Merges) -> int:
    """Merges the symbols `room.line[:length]` in place. Returns how many remain."""
    if length > _SHORT:
        return _merge_long(room.line, length, room.work, merges)
    for place in range(length - 1):
        room.work[place] = _rank_of(merges.slots, room.line[place], room.line[place + 1]) << 6 | place
    return _merge_short(room.line, length, room.work, merges)


@inlined
def merge_bytes(data: NDArray[np.uint8], start: int, length: int, model: ByteMerges, room: Room) -> int:
    """As `merge`, for the bytes data[start:start + length], whose symbols are first written to the line."""
    for place in range(length):
        room.line[place] = model.symbol_of[data[start + place]]
    if length > _SHORT:
        return _merge_long(room.line, length, room.work, model.merges)
    for place in range(length - 1):
        rank = model.ranks[data[start + place], data[start + place + 1]]
        room.work[place] = int(np.int64(rank)) << 6 | place
    return _merge_short(room.line, length, room.work, model.merges)


@uncounted
def _write_unknown(code: int, surfaces: Surfaces, pool: NDArray[np.uint32], pool_next: int) -> int:
    """Writes the ids of a character's bytes. Returns how many."""
    bytes_of = surfaces.bytes_of
    if code < 0x80:
        pool[pool_next] = bytes_of[code]
        return 1
    size = 2 + (code >= 0x800) + (code >= 0x10000)
    lead = (0xF00 >> size) & 0xFF
    pool[pool_next] = bytes_of[lead | (code >> (6 * (size - 1)))]
    for byte in range(1, size):
        pool[pool_next + byte] = bytes_of[0x80 | ((code >> (6 * (size - 1 - byte))) & 63)]
    return size


@uncounted
def merge_words(
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    words: NDArray[np.int64],
    entries: NDArray[np.void],
    merges: Merges,
    surfaces: Surfaces,
    no_end: int,
    pool: NDArray[np.uint32],
    pool_next: int,
    pool_end: int,
    room: Room,
) -> int:
    """Writes each word's ids to the pool, and their place to its entry. Returns the pool's next free place.

    Word w is `symbols[starts[w]:starts[w + 1]]` and its entry `entries[words[w]]`. A word that
    might not fit gets limit -1, and so does a word that ends with the symbol `no_end`.
    """
    known = surfaces.ids.shape[0]
    for word in range(words.shape[0]):
        first, length = starts[word], starts[word + 1] - starts[word]
        entry, begin = words[word], pool_next
        entries[entry].pieces, entries[entry].count = pool_next, 0
        entries[entry].cost, entries[entry].limit = 0.0, np.inf
        if pool_next + 4 * length > pool_end or (length > 0 and symbols[first + length - 1] == no_end):
            entries[entry].limit = -1.0
            continue
        for place in range(length):
            room.line[place] = symbols[first + place]
        length = merge(room, length, merges)
        in_run = False
        for place in range(length):
            symbol = room.line[place]
            if symbol < known:
                pool[pool_next] = surfaces.ids[symbol]
                pool_next += 1
                in_run = False
            elif surfaces.bytes_of[0] >= 0:
                pool_next += _write_unknown(symbol - known, surfaces, pool, pool_next)
            else:
                pool[pool_next] = surfaces.unknown
                pool_next += 0 if in_run else 1
                in_run = True
        entries[entry].count = pool_next - begin
    return pool_next
