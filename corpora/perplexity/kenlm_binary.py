"""KenLM's probing binary: written as `build_binary` writes it, byte for byte, from tables of n-grams.

The file, little-endian: header (see `lm_header`), vocabulary (a hash table from the word's murmur hash to its id),
one (probability, back-off) for every word, one hash table of n-grams for every order from 2, then the words
as strings. Source: kpu/kenlm lm/binary_format.cc, lm/vocab.cc, lm/search_hashed.cc, util/probing_hash_table.hh.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from corpora.files import atomic_path
from corpora.perplexity.kenlm_hashes import LAST_WORD_FACTOR, NEXT_WORD_FACTOR
from corpora.perplexity.kneser_ney import NgramModel, NgramTable
from corpora.perplexity.lm_header import (
    LONGEST_ENTRY,
    MIDDLE_ENTRY,
    PROBING_MULTIPLIER,
    UNIGRAM_ENTRY,
    VOCABULARY_ENTRY,
    VOCABULARY_HEADER,
    LmHeader,
    check_lm,
    num_buckets,
    pack_header,
)
from corpora.perplexity.ngram_counts import BEGIN

__all__ = ["LmHeader", "check_lm", "write_kenlm_binary"]

Keys = npt.NDArray[np.uint64]

_MURMUR_FACTOR = 0xC6A4A7935BD1E995
_64_BITS = (1 << 64) - 1
_BLOCK = 1 << 19  # keys inserted at once: bounds memory, not the result


def write_kenlm_binary(path: str | Path, model: NgramModel, words: Sequence[str]) -> None:
    """Writes `model` atomically. words: the strings of the ids in the text that the model was estimated from."""
    names = [words[word].encode() for word in model.kept_words]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(pack_header(model.counts))
        _write_vocabulary(file, names)
        _write_unigrams(file, model.tables[0])
        for order in range(2, model.order + 1):
            _write_table(file, model.tables[order - 1], ngram_keys(model, order))
        file.write(b"".join(name + b"\0" for name in names))


def _write_vocabulary(file: IO[bytes], names: list[bytes]) -> None:
    """`<unk>` is id 0, the result of a failed look-up, so it has no entry."""
    file.write(VOCABULARY_HEADER.pack(0, len(names)))
    keys = np.fromiter((murmur_hash(name) for name in names[1:]), np.uint64, len(names) - 1)
    table = np.zeros(num_buckets(len(names), PROBING_MULTIPLIER), VOCABULARY_ENTRY)
    cells = place(keys, len(table))
    table["key"][cells] = keys
    table["word"][cells] = np.arange(1, len(names))
    file.write(table.data)  # not tofile: on a full disk it says neither that nor where


def _write_unigrams(file: IO[bytes], unigrams: NgramTable) -> None:
    assert unigrams.log10_backoff is not None
    table = np.zeros(len(unigrams.ends) + 1, UNIGRAM_ENTRY)  # one to spare: KenLM may add <unk>
    table["probability"][:-1] = _signed(unigrams)
    table["probability"][BEGIN] = 0.0
    table["backoff"][:-1] = unigrams.log10_backoff
    file.write(table.data)


def _write_table(file: IO[bytes], ngrams: NgramTable, keys: Keys) -> None:
    longest = ngrams.log10_backoff is None
    table = np.zeros(num_buckets(len(keys), PROBING_MULTIPLIER), LONGEST_ENTRY if longest else MIDDLE_ENTRY)
    cells = place(keys, len(table))
    table["key"][cells] = keys
    table["probability"][cells] = _signed(ngrams)
    if not longest:
        table["backoff"][cells] = ngrams.log10_backoff
    file.write(table.data)


def _signed(ngrams: NgramTable) -> npt.NDArray[np.float32]:
    """log10 probabilities. KenLM sets the sign bit if nothing extends the n-gram to the left, otherwise clears it."""
    sign = np.where(ngrams.extends_left, np.float32(1), np.float32(-1))
    return np.copysign(ngrams.log10_probability, sign)


def ngram_keys(model: NgramModel, order: int) -> Keys:
    """KenLM's 64-bit hashes of the n-grams of one order, from the last word to the first."""
    keys = model.words(order, 0).astype(np.uint64)
    for back in range(1, order):
        keys *= LAST_WORD_FACTOR
        keys ^= (model.words(order, back).astype(np.uint64) + np.uint64(1)) * NEXT_WORD_FACTOR
    return keys


def place(keys: Keys, buckets: int) -> npt.NDArray[np.int64]:
    """The cell of each key after inserting all, in order, into a table with linear probing."""
    cells = (keys % np.uint64(buckets)).astype(np.int64)
    owners = np.full(buckets, len(keys), np.uint32)  # len(keys): free
    for start in range(0, len(keys), _BLOCK):
        _insert(cells, owners, np.arange(start, min(start + _BLOCK, len(keys)), dtype=np.uint32))
    return cells


def _insert(cells: npt.NDArray[np.int64], owners: npt.NDArray[np.uint32], walking: npt.NDArray[np.uint32]) -> None:
    """Inserts the keys `walking` (their indices) all at once.

    Each cell keeps the earliest of the keys that reach it; the others move on, possibly the key that held the cell
    before. The result is that of inserting one by one: each key, earliest first, is in its first free cell.
    """
    while len(walking):
        reached = cells[walking]
        before = owners[reached]
        np.minimum.at(owners, reached, walking)
        won = owners[reached] == walking
        displaced = before[won]
        walking = np.concatenate([walking[~won], displaced[displaced < len(cells)]])
        cells[walking] = (cells[walking] + 1) % len(owners)


def murmur_hash(data: bytes) -> int:
    """MurmurHash64A with seed 0 (util/murmur_hash.cc): KenLM's hash of a word."""
    value = (len(data) * _MURMUR_FACTOR) & _64_BITS
    whole = len(data) & ~7
    for start in range(0, whole, 8):
        block = int.from_bytes(data[start : start + 8], "little") * _MURMUR_FACTOR & _64_BITS
        block = (block ^ block >> 47) * _MURMUR_FACTOR & _64_BITS
        value = (value ^ block) * _MURMUR_FACTOR & _64_BITS
    if len(data) > whole:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MURMUR_FACTOR & _64_BITS
    value = (value ^ value >> 47) * _MURMUR_FACTOR & _64_BITS
    return value ^ value >> 47
