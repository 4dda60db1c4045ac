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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corpora.randomness import digest, mixed
from corpora.words.table import HashedWords, Words

_CODE_POINTS = 0x110000
_CHARACTERS_AT_ONCE = 16 << 20  # bytes of words whose characters are counted together
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


class Selection:
    """Receives each distinct word of a corpus once. The result doesn't depend on the order.

    most: the most words to keep (up to three times as many are in memory for a while). most_occurrences: the largest
    sum of their counts. compose: count characters after NFC, for normalisers that compose characters.
    """

    def __init__(self, most: int, most_occurrences: int, seed: int, compose: bool) -> None:
        self._most = most
        self._most_occurrences = most_occurrences
        self._key = np.uint64(digest(seed, "words") & (1 << 64) - 1)
        self._compose = compose
        self._kept: list[tuple[Words, NDArray[np.float64]]] = []  # words with their draws
        self._uncounted: list[Words] = []
        self._characters = np.zeros(_CODE_POINTS, np.int64)
        self._unit = 1
        self._distinct = self._occurrences = 0

    def add(self, hashed: HashedWords) -> None:
        words = hashed.words
        self._distinct += len(words)
        self._occurrences += int(words.counts.sum())
        self._kept.append((words, _uniform(hashed.hashes ^ self._key)))
        if sum(len(kept) for kept, _ in self._kept) > 2 * self._most:
            self._shrink()
        self._uncounted.append(words)
        if sum(len(w.data) for w in self._uncounted) > _CHARACTERS_AT_ONCE:
            self._count_characters()

    def _shrink(self) -> None:
        """Raises the unit as far as the words so far require, which is never more than all words will require."""
        self._unit = max(self._unit, -(-self._occurrences // self._most_occurrences))
        largest = np.concatenate([np.empty(0), *(_largest_unit(words, draws) for words, draws in self._kept)])
        if np.count_nonzero(largest >= self._unit) > self._most:
            place = len(largest) - self._most - 1
            self._unit = math.floor(np.partition(largest, place)[place]) + 1
        self._kept = [_within(words, draws, self._unit) for words, draws in self._kept]

    def _count_characters(self) -> None:
        words, self._uncounted = _joined(self._uncounted), []
        text = _bordered(words)
        text = unicodedata.normalize("NFC", text) if self._compose else text
        code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        borders = code_points == _BORDER
        weights = words.counts[np.cumsum(borders)[~borders]]  # as float64, exact below 2**53
        self._characters += np.bincount(code_points[~borders], weights, _CODE_POINTS).astype(np.int64)

    def result(self) -> Selected:
        self._shrink()
        self._count_characters()
        words = [(word, count) for kept in self._kept for word, count in _pairs(_in_units(*kept, self._unit))]
        return Selected(
            words=sorted(words),
            characters={chr(c): int(self._characters[c]) for c in np.flatnonzero(self._characters).tolist()},
            unit=self._unit,
            distinct=self._distinct,
            occurrences=self._occurrences,
        )


def select(
    parts: Iterable[HashedWords], *, most: int, most_occurrences: int = 1 << 62, seed: int, compose: bool
) -> Selected:
    """The selection from `parts`, which together contain each distinct word once. Arguments: see Selection."""
    selection = Selection(most, most_occurrences, seed, compose)
    for words in parts:
        selection.add(words)
    return selection.result()


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


def _joined(parts: list[Words]) -> Words:
    lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(words.offsets) for words in parts)])
    data = np.concatenate([np.empty(0, np.uint8), *(words.data for words in parts)])
    counts = np.concatenate([np.empty(0, np.int64), *(words.counts for words in parts)])
    return Words(data, np.concatenate([[0], np.cumsum(lengths)]), counts)


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
