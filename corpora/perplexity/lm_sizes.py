"""The size of a KenLM binary, and where its tables are: both follow from the n-gram counts.

Source: kpu/kenlm lm/vocab.cc, lm/search_hashed.hh, lm/search_trie.hh, lm/trie.cc, lm/quantize.hh, lm/bhiksha.cc,
util/probing_hash_table.hh. Sizes are Python integers, so that even a wrong count can't overflow.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VOCABULARY_HEADER = struct.Struct("<II")  # version, number of words
VOCABULARY_ENTRY = np.dtype([("key", "<u8"), ("word", "<u4")])
UNIGRAM_ENTRY = np.dtype([("probability", "<f4"), ("backoff", "<f4")])
MIDDLE_ENTRY = np.dtype([("key", "<u8"), ("probability", "<f4"), ("backoff", "<f4")])
LONGEST_ENTRY = np.dtype([("key", "<u8"), ("probability", "<f4")])
_REST_UNIGRAM_ENTRY = np.dtype([*UNIGRAM_ENTRY.descr, ("rest", "<f4")])
_REST_MIDDLE_ENTRY = np.dtype([*MIDDLE_ENTRY.descr, ("rest", "<f4")])

_TRIE_UNIGRAM_BYTES = 16  # probability, back-off, and where its bigrams begin
_WORD_BYTES = 8  # a key of a trie's vocabulary
_TABLE_HEADER_BYTES = 8
_FLOAT_BYTES = 4
_READ_AHEAD_BYTES = 8  # after each bit-packed array, so that reading its last bits stays in bounds
_ALIGNMENT_BYTES = 7


@dataclass(frozen=True)
class Table:
    """`cells` entries of one dtype, from byte `offset` of the file."""

    offset: int
    cells: int
    entry: np.dtype[np.void]

    @property
    def end(self) -> int:
        return self.offset + self.cells * self.entry.itemsize


@dataclass(frozen=True)
class ProbingLayout:
    """The tables of a probing binary: hash tables (key 0: a free cell), and the unigrams, by word id.

    unigrams has one cell more than the header's count: KenLM adds `<unk>` if it is missing.
    ngrams: of orders 2, 3, ..., the longest last.
    """

    vocabulary: Table
    unigrams: Table
    ngrams: tuple[Table, ...]

    @property
    def end(self) -> int:
        """Where the words' strings begin, or the end of a file without them."""
        return self.ngrams[-1].end


@dataclass(frozen=True)
class TrieBits:
    """The bits of a trie's fields. array: the most bits of a pointer that may be moved to arrays; None: no arrays."""

    probability: int = 31
    backoff: int = 32
    quantised: bool = False
    array: int | None = None


def num_buckets(entries: int, multiplier: float) -> int:
    """Cells of a hash table, at least one of them free. KenLM multiplies in float32."""
    return max(entries + 1, int(np.float32(multiplier) * np.float32(entries)))


def probing_layout(start: int, counts: Sequence[int], multiplier: float, *, rest: bool) -> ProbingLayout:
    """start: where the header ends. rest: with rest costs (4 more bytes per word and n-gram, except the longest)."""
    middle = _REST_MIDDLE_ENTRY if rest else MIDDLE_ENTRY
    words = num_buckets(counts[0], multiplier)
    vocabulary = Table(start + VOCABULARY_HEADER.size, words, VOCABULARY_ENTRY)
    unigrams = Table(vocabulary.end, counts[0] + 1, _REST_UNIGRAM_ENTRY if rest else UNIGRAM_ENTRY)
    ngrams: list[Table] = []
    for order, count in enumerate(counts[1:], 2):
        offset = ngrams[-1].end if ngrams else unigrams.end
        entry = LONGEST_ENTRY if order == len(counts) else middle
        ngrams.append(Table(offset, num_buckets(count, multiplier), entry))
    return ProbingLayout(vocabulary, unigrams, tuple(ngrams))


def trie_vocabulary_bytes(words: int) -> int:
    """A count, the words' sorted hashes (`<unk>` has none), and room for one more."""
    return _TABLE_HEADER_BYTES + _WORD_BYTES * words


def quantiser_bytes(order: int, bits: TrieBits) -> int:
    """Tables of 2**bits floats: probabilities of each order from 2, back-offs of all but the longest."""
    probabilities, backoffs = _FLOAT_BYTES << bits.probability, _FLOAT_BYTES << bits.backoff
    return _TABLE_HEADER_BYTES + (order - 1) * probabilities + (order - 2) * backoffs


def trie_unigram_bytes(words: int) -> int:
    """One entry per word, one for a missing `<unk>`, and one for the end of the last word's bigrams."""
    return _TRIE_UNIGRAM_BYTES * (words + 2)


def trie_bytes(counts: Sequence[int], bits: TrieBits) -> int:
    """Everything between the header and the words' strings."""
    total = trie_vocabulary_bytes(counts[0]) + trie_unigram_bytes(counts[0])
    if bits.quantised:
        total += quantiser_bytes(len(counts), bits)
    for count, longer in itertools.pairwise(counts[1:]):
        total += _middle_bytes(count, counts[0], longer, bits)
    return total + _packed_bytes(counts[-1], counts[0], bits.probability)


def _middle_bytes(count: int, words: int, longer: int, bits: TrieBits) -> int:
    """Entries of word, weights and pointer (an index of longer n-grams, whose top bits may be moved to an array)."""
    pointer, array = longer.bit_length(), 0
    if bits.array is not None:
        chopped = _chopped_bits(count + 1, longer, bits.array)
        pointer -= chopped
        array = _TABLE_HEADER_BYTES + 8 * ((longer >> pointer) + 1) + _ALIGNMENT_BYTES
    return array + _packed_bytes(count, words, bits.probability + bits.backoff + pointer)


def _packed_bytes(count: int, words: int, bits: int) -> int:
    """Entries of a word id and `bits` more bits, with one entry for the end, rounded up to bytes."""
    return ((count + 1) * (words.bit_length() + bits) + 7) // 8 + _READ_AHEAD_BYTES


def _chopped_bits(entries: int, largest: int, at_most: int) -> int:
    """How many top bits of the pointers to move to an array to make array and entries smallest together."""
    required = largest.bit_length()
    return min(
        range(min(required, at_most) + 1),
        key=lambda chopped: (largest >> (required - chopped)) * 64 - entries * chopped,
    )
