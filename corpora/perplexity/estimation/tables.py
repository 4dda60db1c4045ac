"""Fills the hash tables of a KenLM probing binary in place, in the mapped file.

Twin: corpora.perplexity.kenlm_binary.write_kenlm_binary
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, kernel, prefetch
from corpora.perplexity.estimation.contexts import BACKOFF, Floats
from corpora.perplexity.estimation.counts import EXTENDS_LEFT, IS_CONTEXT, PRUNED, Counts
from corpora.perplexity.estimation.neighbours import Bytes, longest_of, shared_of
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.kenlm_hashes import LAST_WORD_FACTOR, NEXT_WORD_FACTOR

Cells = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_BATCH = 256  # n-grams whose cells are prefetched before they are inserted
_AHEAD = 48  # places: words are prefetched this far before they are hashed
_LOW = np.uint64(0xFFFFFFFF)


@inlined
def log10_probability(probability: np.float32) -> np.float32:
    return np.float32(min(np.log10(probability), np.float32(0)))  # rounding may give a sum of more than 1


@inlined
def log10_backoff(backoff: np.float32, flags: np.uint8) -> np.float32:
    """-0.0 for an n-gram that isn't the context of a kept n-gram, as KenLM stores it."""
    value = np.log10(backoff)
    if value == 0:
        return np.float32(0.0) if flags & np.uint8(IS_CONTEXT) else np.float32(-0.0)
    return np.float32(value)


@inlined
def signed(value: np.float32, flags: np.uint8) -> np.float32:
    """KenLM sets the sign bit if nothing extends the n-gram to the left, otherwise clears it."""
    return abs(value) if flags & np.uint8(EXTENDS_LEFT) else -abs(value)


@inlined
def free_cell(
    cells: Cells, bucket: np.int64, first_bucket: int, end_bucket: int, buckets: int, width: int
) -> np.int64:
    """Index in `cells` of the first free bucket (key 0) from `bucket` on; -1 past the end of a part of the table."""
    cell, end = np.uint64(bucket * width), np.uint64(end_bucket * width)
    while cells[cell] | cells[cell + np.uint64(1)]:
        cell += np.uint64(width)
        if cell == end:
            if end_bucket - first_bucket < buckets:
                return np.int64(-1)
            cell = np.uint64(0)
    return np.int64(cell)


@inlined
def _write_entry(
    cells: Cells,
    floats: Floats,
    cell: np.int64,
    key: np.uint64,
    ngram: np.int64,
    probability: Floats,
    weights: Floats,
    flags: Bytes,
    longest_order: bool,
) -> int:
    """Writes an n-gram's key and values. Returns 1 if one of the values isn't finite, else 0."""
    cells[cell] = np.uint32(key & _LOW)
    cells[cell + 1] = np.uint32(key >> np.uint64(32))
    value = log10_probability(probability[ngram])
    floats[cell + 2] = signed(value, flags[ngram])
    if not longest_order:
        backoff = log10_backoff(weights[ngram, BACKOFF], flags[ngram])
        floats[cell + 3] = backoff
        value += backoff
    return 0 if np.isfinite(value) else 1


@inlined
def _hash_words(text: Ids, position: np.uint32, shared: np.int64, longest: np.int64, hashes: Keys) -> None:
    """Sets hashes[n], shared < n <= longest: KenLM's key of the n words that end at `position`."""
    for back in range(shared, longest):
        word = np.uint64(text[position - np.uint32(back)])
        if back:
            hashes[back + 1] = (hashes[back] * LAST_WORD_FACTOR) ^ ((word + np.uint64(1)) * NEXT_WORD_FACTOR)
        else:
            hashes[1] = word


class _Batch(NamedTuple):
    """N-grams waiting to be inserted, [_BATCH] each: their keys, first buckets, and indices."""

    keys: Keys
    homes: Indices
    chosen: Indices


@inlined
def _insert(
    batch: _Batch,
    waiting: int,
    bounds: tuple[int, int, int],
    cells: Cells,
    floats: Floats,
    probability: Floats,
    weights: Floats,
    flags: Bytes,
    longest_order: bool,
    beyond: Indices,
    left: int,
) -> tuple[int, int]:
    """Inserts the first `waiting` n-grams of the batch. bounds: first bucket and end of the part, all buckets.

    Those that find no free bucket go to beyond[left:]. Returns the new `left`, and how many values aren't finite.
    """
    bad = 0
    for i in range(waiting):
        cell = free_cell(cells, batch.homes[i], bounds[0], bounds[1], bounds[2], 3 if longest_order else 4)
        if cell < 0:
            beyond[left] = batch.chosen[i]
            left += 1
        else:
            key, ngram = batch.keys[i], batch.chosen[i]
            bad += _write_entry(cells, floats, cell, key, ngram, probability, weights, flags, longest_order)
    return left, bad


@kernel
def fill_table(
    text: Ids,
    positions: Counts,
    packed: Bytes,
    k: int,
    longest_order: bool,
    probability: Floats,
    weights: Floats,
    flags: Bytes,
    cells: Cells,
    floats: Floats,
    buckets: int,
    first_bucket: int,
    end_bucket: int,
    carried: Indices,
) -> tuple[Indices, int]:
    """Inserts the kept k-grams with a bucket from first_bucket to end_bucket - 1, in suffix order.

    cells, floats: the table as uint32 and as float32, 3 per bucket in the highest order, otherwise 4. weights: of the
    k-grams as contexts. carried: ascending indices of k-grams that found no free bucket in the part before.
    Returns those that found none in this part (none if it is the whole table), and how many values aren't finite.
    """
    width = 3 if longest_order else 4
    bounds = (first_bucket, end_bucket, buckets)
    hashes = np.zeros(k + 1, np.uint64)
    batch = _Batch(np.empty(_BATCH, np.uint64), np.empty(_BATCH, np.int64), np.empty(_BATCH, np.int64))
    beyond = np.empty(_BATCH, np.int64)
    ngram = -1
    waiting = taken = left = bad = 0
    for place in range(packed.shape[0] + 1):
        ended = place == packed.shape[0]
        if waiting == _BATCH or ended:
            if left + waiting > beyond.shape[0]:
                beyond = np.concatenate((beyond, np.empty_like(beyond)))
            left, failed = _insert(
                batch, waiting, bounds, cells, floats, probability, weights, flags, longest_order, beyond, left
            )
            bad += failed
            waiting = 0
            if ended:
                break
        shared, longest = shared_of(packed[place]), longest_of(packed[place])
        if shared >= k:
            continue  # the k-gram of the place before
        prefetch(text, np.int64(positions[min(place + _AHEAD, packed.shape[0] - 1)]))
        _hash_words(text, positions[place], shared, min(np.int64(k), longest), hashes)
        if longest < k:
            continue  # too near its sentence's start for a k-gram
        ngram += 1
        if flags[ngram] & np.uint8(PRUNED):
            continue
        bucket = np.int64(hashes[k] % np.uint64(buckets))
        if taken < carried.shape[0] and carried[taken] == ngram:
            bucket = np.int64(first_bucket)
            taken += 1
        if first_bucket <= bucket < end_bucket:
            batch.keys[waiting], batch.homes[waiting], batch.chosen[waiting] = hashes[k], bucket, ngram
            waiting += 1
            prefetch(cells, bucket * width)
    return beyond[:left].copy(), bad


@kernel
def fill_vocabulary(hashes: Keys, cells: Cells, buckets: int) -> None:
    """Inserts the hashes of ids 1, 2, .. with their ids. `<unk>` (0) has no entry: a failed look-up gives 0."""
    for word in range(1, hashes.shape[0]):
        cell = free_cell(cells, np.int64(hashes[word] % np.uint64(buckets)), 0, buckets, buckets, 3)
        cells[cell] = np.uint32(hashes[word] & _LOW)
        cells[cell + 1] = np.uint32(hashes[word] >> np.uint64(32))
        cells[cell + 2] = word


@kernel
def fill_unigrams(probability: Floats, weights: Floats, flags: Bytes, floats: Floats) -> int:
    """Writes the values of the kept words in order. Returns how many aren't finite."""
    bad = 0
    for word in range(probability.shape[0]):
        value = log10_probability(probability[word])
        backoff = log10_backoff(weights[word, BACKOFF], flags[word])
        floats[2 * word] = signed(value, flags[word])
        floats[2 * word + 1] = backoff
        bad += not np.isfinite(value + backoff)
    return bad
