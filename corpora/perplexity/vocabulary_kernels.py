"""Words to ids with KenLM's vocabulary hash table, compiled (lm/vocab.cc, util/probing_hash_table.hh).

Twin: corpora.perplexity.kenlm_binary.place
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, kernel, load_uint64, multiply_high, prefetch
from corpora.text.murmur import murmur

SPARE = 8  # bytes that must follow the last word
_AHEAD = 16  # look-ups in flight together
_CELL = np.uint64(3)  # uint32 numbers per cell: the hash, and the id
_TWO = np.uint64(2)
_FREE = np.uint64(0)
LARGEST = np.uint64((1 << 64) - 1)

Hashes = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.uint32]


@inlined
def modulo(key: np.uint64, size: np.uint64, inverse: np.uint64) -> np.uint64:
    """key % size, where inverse = LARGEST // size: three times as fast as a division."""
    rest: np.uint64 = key - multiply_high(key, inverse) * size  # the quotient may be 1 too small, never too large
    if rest >= size:
        rest -= size
    return rest


@kernel
def hash_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Hashes:
    """KenLM's hash of every data[offsets[k]:offsets[k + 1]]; SPARE bytes follow the last."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for word in range(len(hashes)):
        hashes[word] = murmur(data, offsets[word], offsets[word + 1] - offsets[word])
    return hashes


@kernel
def find_words(table: Ids, hashes: Hashes, num_words: int) -> Ids:
    """The id of each hash; 0 if it isn't in the table, or if its id there isn't below num_words.

    table uint32[3 * cells]: hash and id of each cell. Each cell is looked at once at most.
    """
    cells = np.uint64(len(table)) // _CELL
    inverse = LARGEST // cells
    end = cells * _CELL
    ids = np.zeros(len(hashes), np.uint32)
    for word in range(len(hashes)):
        if word + _AHEAD < len(hashes):
            prefetch(table, modulo(hashes[word + _AHEAD], cells, inverse) * _CELL)
        place = modulo(hashes[word], cells, inverse) * _CELL
        for _ in range(cells):
            there = load_uint64(table, place)
            if there == hashes[word]:
                found = table[place + _TWO]
                ids[word] = found if found < num_words else 0
                break
            if there == _FREE:
                break
            place += _CELL
            if place == end:
                place = np.uint64(0)
    return ids
