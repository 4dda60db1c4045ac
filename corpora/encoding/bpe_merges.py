"""Byte-pair merges of words: the best-ranked pair first, of equals the leftmost, as `tokenizers` and SentencePiece.

Pairs are found by a hash table of (left << 32 | right, rank << 32 | merged), in which a key of all ones is free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, kernel

PAIR = np.dtype([("key", np.uint64), ("merge", np.int64)])
_FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = 0x7FFFFFFFFFFFFFFF
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHORT = 48  # symbols; longer words are merged by a heap
_HALF, _LOW = 32, 0xFFFFFFFF


class Surfaces(NamedTuple):
    """What symbols are written as. `ids[symbol]`; symbols from len(ids) on are code points that no piece has.

    These are written as `bytes_of[byte]` of each byte, or, if `bytes_of[0]` is negative, a run of them as `unknown`.
    """

    ids: NDArray[np.int32]
    bytes_of: NDArray[np.int32]
    unknown: int


def pair_table(
    lefts: NDArray[np.int64], rights: NDArray[np.int64], ranks: NDArray[np.int64], merged: NDArray[np.int64]
) -> NDArray[np.void]:
    """At most half full. Of equal pairs the last one counts."""
    table = np.zeros(1 << max(4, (2 * len(lefts)).bit_length()), PAIR)
    table["key"] = _FREE
    _insert(table, (lefts << 32 | rights).astype(np.uint64), ranks << 32 | merged)
    return table


@inlined
def _place(key: np.uint64, mask: int) -> int:
    product = key * _MULTIPLIER
    return int(np.int64(product ^ (product >> np.uint64(32)))) & mask


@kernel
def _insert(table: NDArray[np.void], keys: NDArray[np.uint64], merges: NDArray[np.int64]) -> None:
    mask = table.shape[0] - 1
    for number in range(keys.shape[0]):
        place = _place(keys[number], mask)
        while table[place].key != _FREE and table[place].key != keys[number]:
            place = (place + 1) & mask
        table[place].key, table[place].merge = keys[number], merges[number]


@inlined
def _merge(table: NDArray[np.void], left: int, right: int) -> int:
    """rank << 32 | merged of a pair, or _NONE."""
    key = np.uint64(left) << np.uint64(32) | np.uint64(right)
    mask = table.shape[0] - 1
    place = np.uint64(_place(key, mask))
    while table[place].key != key and table[place].key != _FREE:
        place = (place + np.uint64(1)) & np.uint64(mask)
    return int(np.int64(table[place].merge)) if table[place].key == key else _NONE


@inlined
def _merge_short(line: NDArray[np.int64], length: int, merges: NDArray[np.int64], table: NDArray[np.void]) -> int:
    """Merges `line[:length]` in place. Returns how many symbols are left."""
    for place in range(length - 1):
        merges[place] = _merge(table, line[place], line[place + 1])
    while length > 1:
        best = 0
        for place in range(1, length - 1):
            if merges[place] >> _HALF < merges[best] >> _HALF:
                best = place
        if merges[best] == _NONE:
            break
        line[best] = merges[best] & _LOW
        length -= 1
        for place in range(best + 1, length):
            line[place] = line[place + 1]
            merges[place - 1] = merges[place]
        if best > 0:
            merges[best - 1] = _merge(table, line[best - 1], line[best])
        if best < length - 1:
            merges[best] = _merge(table, line[best], line[best + 1])
    return length


@inlined
def _push(heap: NDArray[np.int64], size: int, key: int) -> None:
    place = size
    while place > 0 and heap[(place - 1) >> 1] > key:
        heap[place] = heap[(place - 1) >> 1]
        place = (place - 1) >> 1
    heap[place] = key


@inlined
def _pop(heap: NDArray[np.int64], size: int) -> None:
    """Takes the least of `heap[:size]` away."""
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


@inlined
def _merge_long(line: NDArray[np.int64], length: int, work: NDArray[np.int64], table: NDArray[np.void]) -> int:
    """The same by a heap of rank << 32 | place, places linked. work: int64[at least 5 * length]."""
    after, before, heap = work[:length], work[length : 2 * length], work[2 * length :]
    size = 0
    for place in range(length):
        after[place], before[place] = place + 1, place - 1
        found = _merge(table, line[place], line[place + 1]) if place < length - 1 else _NONE
        if found != _NONE:
            _push(heap, size, (found & ~_LOW) | place)
            size += 1
    while size > 0:
        top = heap[0]
        _pop(heap, size)
        size -= 1
        left = top & _LOW
        right = after[left]
        if line[left] < 0 or right >= length:
            continue
        found = _merge(table, line[left], line[right])
        if found == _NONE or found >> _HALF != top >> _HALF:
            continue  # a pair that is no more
        line[left], line[right] = found & _LOW, -1
        after[left] = after[right]
        if after[left] < length:
            before[after[left]] = left
            found = _merge(table, line[left], line[after[left]])
            if found != _NONE:
                _push(heap, size, (found & ~_LOW) | left)
                size += 1
        if before[left] >= 0:
            found = _merge(table, line[before[left]], line[left])
            if found != _NONE:
                _push(heap, size, (found & ~_LOW) | before[left])
                size += 1
    kept, place = 0, 0
    while place < length:
        line[kept] = line[place]
        kept += 1
        place = after[place]
    return kept


@inlined
def _write_unknown(code: int, surfaces: Surfaces, pool: NDArray[np.uint32], pool_next: int) -> int:
    """The bytes of a character. Returns how many."""
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


@kernel
def merge_words(
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    words: NDArray[np.int64],
    entries: NDArray[np.void],
    table: NDArray[np.void],
    surfaces: Surfaces,
    pool: NDArray[np.uint32],
    pool_next: int,
    pool_end: int,
) -> int:
    """Writes each word's ids to the pool, and where they are to its entry. Returns the pool's next free place.

    Word w is `symbols[starts[w]:starts[w + 1]]` and its entry `entries[words[w]]`. One that might not fit gets
    limit -1.
    """
    size = 1
    for word in range(words.shape[0]):
        size = max(size, int(starts[word + 1] - starts[word]))
    line, work = np.empty(size, np.int64), np.empty(5 * max(size, _SHORT), np.int64)
    known = surfaces.ids.shape[0]
    for word in range(words.shape[0]):
        first, length = starts[word], starts[word + 1] - starts[word]
        entry, begin = words[word], pool_next
        entries[entry].pieces, entries[entry].count = pool_next, 0
        entries[entry].cost, entries[entry].limit = 0.0, np.inf
        if pool_next + 4 * length > pool_end:
            entries[entry].limit = -1.0
            continue
        for place in range(length):
            line[place] = symbols[first + place]
        if length <= _SHORT:
            length = _merge_short(line, length, work, table)
        else:
            length = _merge_long(line, length, work, table)
        in_run = False
        for place in range(length):
            symbol = line[place]
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


@kernel
def bytes_as_symbols(
    data: NDArray[np.uint8],
    word_starts: NDArray[np.int64],
    word_lengths: NDArray[np.int64],
    chosen: NDArray[np.int64],
    symbol_of: NDArray[np.int32],
    longest: int,
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
) -> None:
    """The symbols of the chosen words' bytes: word w gets `symbols[starts[w]:starts[w + 1]]`, none if too long."""
    end = 0
    starts[0] = 0
    for number in range(chosen.shape[0]):
        start, length = word_starts[chosen[number]], word_lengths[chosen[number]]
        for place in range(length if length <= longest else 0):
            symbols[end + place] = symbol_of[data[start + place]]
        end += length if length <= longest else 0
        starts[number + 1] = end
