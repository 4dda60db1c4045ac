"""Which words a tokenizer learns from, and how often, if a corpus has too many for training: a keyed draw.

A word seen c times counts floor(c / unit + u) times, where u in [0, 1) is drawn by the word itself; a word that
counts 0 times is left out. So the expected sum of counts over any set of words (those with a given syllable, say)
is unchanged, up to the unit: all frequent words stay, and so many rare words that their share is right. The unit is
the lowest integer that leaves no more words and occurrences than allowed; for a small corpus it is 1, which changes
nothing.
"""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corpora.randomness import digest, mixed
from corpora.words.table import HashedWords, Words

_CODE_POINTS = 0x110000
_CHARACTERS_AT_ONCE = 16 << 20  # bytes of words whose characters are counted together
_BIN_SHIFT = 47  # of a float64: 32 bins for each power of two
_FIRST_BIN = 1023 << 5  # that of 1.0
_BINS = 128 << 5  # up to 2**128
_BORDER = ord("\t")  # never inside a word


@dataclass(frozen=True)
class Selected:
    """What a tokenizer learns from."""

    words: list[tuple[str, int]]
    """Words and their counts in units, in the order of their bytes."""
    characters: dict[str, int]
    """Characters of all words of the corpus, with their counts (not in units)."""
    unit: int
    distinct: int
    """Distinct words of the corpus."""
    occurrences: int
    """Occurrences of words in the corpus (not in units)."""


class PartTotals:
    """What is to be known of all words of one part of a corpus, when only some of them are kept.

    largest_units: int64[_BINS], the words by the largest unit at which they stay, in bins of about 3%. characters:
    their counts, by code point.
    """

    def __init__(self, seed: int, compose: bool) -> None:
        self.distinct = self.occurrences = 0
        self.largest_units = np.zeros(_BINS, np.int64)
        self.characters = np.zeros(_CODE_POINTS, np.int64)
        self._key, self._compose = _key_of(seed), compose

    def add(self, hashed: HashedWords) -> None:
        words = hashed.words
        self.distinct += len(words)
        self.occurrences += int(words.counts.sum())
        largest = _largest_unit(words, _uniform(hashed.hashes ^ self._key))
        self.largest_units += np.bincount(_bins(largest), minlength=_BINS)
        for some in _some_at_a_time(words):
            self.characters += _character_counts(some, self._compose)

    def included(self, hashed: HashedWords) -> HashedWords:
        """Adds the words, and returns them."""
        self.add(hashed)
        return hashed

    def to_bytes(self) -> bytes:
        numbers = np.array([self.distinct, self.occurrences], np.int64)
        joined = np.concatenate([numbers, self.largest_units, self.characters])
        return zlib.compress(joined.astype("<i8").tobytes(), 1)

    def add_totals(self, content: bytes) -> None:
        """Adds what `to_bytes` gave for another part."""
        found = np.frombuffer(zlib.decompress(content), "<i8")
        self.distinct += int(found[0])
        self.occurrences += int(found[1])
        self.largest_units += found[2 : 2 + _BINS]
        self.characters += found[2 + _BINS :]


def least_unit(largest_units: NDArray[np.int64], occurrences: int, *, most: int, most_occurrences: int) -> float:
    """What the unit of a selection is at least, though not by much: whatever it keeps stays up to here.

    largest_units, occurrences: sums over all parts.
    """
    least = float(max(1, -(-occurrences // most_occurrences)))
    staying = np.cumsum(largest_units[::-1])[::-1]  # words that stay up to a bin's lower border
    places = np.flatnonzero(staying > most)
    return max(least, _border(int(places[-1]))) if len(places) else least


def _bins(largest: NDArray[np.float64]) -> NDArray[np.int64]:
    """float64[n], all at least 1 -> the exponent and the upper bits of the mantissa."""
    return (np.maximum(largest, 1.0).view(np.uint64) >> np.uint64(_BIN_SHIFT)).astype(np.int64) - _FIRST_BIN


def _border(place: int) -> float:
    """The lower border of a bin."""
    return float((np.array([place + _FIRST_BIN], np.uint64) << np.uint64(_BIN_SHIFT)).view(np.float64)[0])


def staying(hashed: HashedWords, seed: int, unit: float) -> HashedWords:
    """The words that stay up to the unit."""
    chosen = _largest_unit(hashed.words, _uniform(hashed.hashes ^ _key_of(seed))) >= unit
    return HashedWords(_take(hashed.words, chosen), hashed.hashes[chosen])


class Selection:
    """Receives each distinct word of a corpus once. The result doesn't depend on the order.

    most: the most words to keep (up to three times as many are in memory for a while). most_occurrences: the largest
    sum of their counts.
    """

    def __init__(self, most: int, most_occurrences: int, seed: int) -> None:
        self._most = most
        self._most_occurrences = most_occurrences
        self._key = _key_of(seed)
        self._kept: list[tuple[Words, NDArray[np.float64]]] = []  # words with their draws
        self._unit = 1

    def add(self, hashed: HashedWords) -> None:
        self._kept.append((hashed.words, _uniform(hashed.hashes ^ self._key)))
        if sum(len(kept) for kept, _ in self._kept) > 2 * self._most:
            self._shrink()

    def _shrink(self) -> None:
        """Raises the unit as far as the words so far require, which is never more than all words will require."""
        largest = np.concatenate([np.empty(0), *(_largest_unit(words, draws) for words, draws in self._kept)])
        if np.count_nonzero(largest >= self._unit) > self._most:
            place = len(largest) - self._most - 1
            self._unit = math.floor(np.partition(largest, place)[place]) + 1
        self._kept = [_within(words, draws, self._unit) for words, draws in self._kept]

    def result(self, distinct: int, occurrences: int, characters: NDArray[np.int64]) -> Selected:
        """The selection. Arguments: of all words of the corpus, whether they were added or couldn't stay."""
        self._unit = max(self._unit, -(-occurrences // self._most_occurrences))
        self._shrink()
        words = [(word, count) for kept in self._kept for word, count in _pairs(_in_units(*kept, self._unit))]
        return Selected(
            words=sorted(words),
            characters={chr(c): int(characters[c]) for c in np.flatnonzero(characters).tolist()},
            unit=self._unit,
            distinct=distinct,
            occurrences=occurrences,
        )


def _key_of(seed: int) -> np.uint64:
    return np.uint64(digest(seed, "words") & (1 << 64) - 1)


def _some_at_a_time(words: Words) -> Iterator[Words]:
    """The words, about _CHARACTERS_AT_ONCE bytes at a time."""
    start = 0
    while start < len(words):
        within = int(np.searchsorted(words.offsets, words.offsets[start] + _CHARACTERS_AT_ONCE, "right")) - 1
        end = min(max(within, start + 1), len(words))
        first, last = int(words.offsets[start]), int(words.offsets[end])
        yield Words(words.data[first:last], words.offsets[start : end + 1] - first, words.counts[start:end])
        start = end


def _character_counts(words: Words, compose: bool) -> NDArray[np.int64]:
    text = _bordered(words)
    text = unicodedata.normalize("NFC", text) if compose else text
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    borders = code_points == _BORDER
    weights = words.counts[np.cumsum(borders)[~borders]]  # as float64, exact below 2**53
    return np.bincount(code_points[~borders], weights, _CODE_POINTS).astype(np.int64)


def select(
    parts: Iterable[HashedWords], *, most: int, most_occurrences: int = 1 << 62, seed: int, compose: bool
) -> Selected:
    """The selection from `parts`, which together contain each distinct word once. Arguments: see Selection.

    compose: count characters after NFC, for normalisers that compose characters.
    """
    selection, totals = Selection(most, most_occurrences, seed), PartTotals(seed, compose)
    for words in parts:
        selection.add(words)
        totals.add(words)
    return selection.result(totals.distinct, totals.occurrences, totals.characters)


def _uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """[0, 1): the upper 53 bits of the hashes, mixed once more."""
    draws: NDArray[np.float64] = (mixed(hashes) >> np.uint64(11)).astype(np.float64) / 2.0**53
    return draws


def _largest_unit(words: Words, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest unit at which each word stays: where count / unit + draw is 1."""
    found: NDArray[np.float64] = words.counts / (1 - draws)
    return found


def _within(words: Words, draws: NDArray[np.float64], unit: int) -> tuple[Words, NDArray[np.float64]]:
    chosen = _largest_unit(words, draws) >= unit
    return _take(words, chosen), draws[chosen]


def _in_units(words: Words, draws: NDArray[np.float64], unit: int) -> Words:
    counts = np.floor(words.counts / unit + draws).astype(np.int64)
    return replace(words, counts=np.maximum(counts, 1))  # rounding may turn a 1 into 1 - 2**-53


def _take(words: Words, chosen: NDArray[np.bool_]) -> Words:
    lengths = np.diff(words.offsets)
    data = words.data[np.repeat(chosen, lengths)]
    return Words(data, np.concatenate([[0], np.cumsum(lengths[chosen])]), words.counts[chosen])


def _bordered(words: Words) -> str:
    """The words, each followed by _BORDER."""
    before = np.repeat(np.arange(len(words)), np.diff(words.offsets))
    text = np.full(len(words.data) + len(words), _BORDER, np.uint8)
    text[np.arange(len(words.data)) + before] = words.data
    return text.tobytes().decode()


def _pairs(words: Words) -> Iterator[tuple[str, int]]:
    data = words.data.tobytes()
    spans = pairwise(words.offsets.tolist())
    return ((data[a:b].decode(), count) for (a, b), count in zip(spans, words.counts.tolist(), strict=True))
