"""Which words a tokenizer learns from, where a corpus has more than it can take: a keyed draw with scaled counts.

Every word has the priority count / u, u drawn from (0, 1] by the word itself. Words whose priority is above a
threshold are kept, and counts below the threshold are raised to it. So the sum of counts over any set of words (those
with a given syllable, say) keeps its expectation, with nearly the least variance possible. The threshold is the
lowest integer that leaves as few words as asked for.
Source: Duffield, Lund, Thorup, "Priority sampling for estimation of arbitrary subset sums", J. ACM 54(6), 2007.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corpora.randomness import digest
from corpora.words.table import HashedWords, Words

_CODE_POINTS = 0x110000
_CHARACTERS_AT_ONCE = 16 << 20  # bytes of words whose characters are counted together
_BORDER = ord("\t")  # no word holds one


@dataclass(frozen=True)
class Selected:
    """Words with their counts, scaled ones included, in the order of their bytes.

    characters: of all words of the corpus, with their counts. threshold: words seen so often, or more often, are all
    kept as they are; 0: all words are. distinct, occurrences: of all words.
    """

    words: list[tuple[str, int]]
    characters: dict[str, int]
    threshold: int
    distinct: int
    occurrences: int


class Selection:
    """Takes each distinct word of a corpus once, in any order; what comes out doesn't depend on it.

    most: words kept; up to three times as many are held meanwhile. compose: count the characters of NFC forms, as
    normalisers that compose them see them.
    """

    def __init__(self, most: int, seed: int, compose: bool) -> None:
        self._most = most
        self._key = np.uint64(digest(seed, "words") & (1 << 64) - 1)
        self._compose = compose
        self._kept: list[tuple[Words, NDArray[np.float64]]] = []
        self._uncounted: list[Words] = []
        self._characters = np.zeros(_CODE_POINTS, np.int64)
        self._threshold = 0
        self._distinct = self._occurrences = 0

    def add(self, hashed: HashedWords) -> None:
        words = hashed.words
        self._distinct += len(words)
        self._occurrences += int(words.counts.sum())
        self._kept.append((words, words.counts / _uniform(hashed.hashes ^ self._key)))
        if sum(len(kept) for kept, _ in self._kept) > 2 * self._most:
            self._shrink()
        self._uncounted.append(words)
        if sum(len(w.data) for w in self._uncounted) > _CHARACTERS_AT_ONCE:
            self._count_characters()

    def _shrink(self) -> None:
        """Leaves the words of the `most` highest priorities."""
        priorities = np.concatenate([np.empty(0), *(p for _, p in self._kept)])
        if len(priorities) <= self._most:
            return
        lowest = len(priorities) - self._most - 1
        self._threshold = math.ceil(np.partition(priorities, lowest)[lowest])
        self._kept = [(_take(w, p > self._threshold), p[p > self._threshold]) for w, p in self._kept]

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
        pairs = (pair for words, _ in self._kept for pair in _pairs(words))
        return Selected(
            words=sorted((word, max(count, self._threshold)) for word, count in pairs),
            characters={chr(c): int(self._characters[c]) for c in np.flatnonzero(self._characters).tolist()},
            threshold=self._threshold,
            distinct=self._distinct,
            occurrences=self._occurrences,
        )


def select(parts: Iterable[HashedWords], *, most: int, seed: int, compose: bool) -> Selected:
    """`parts` hold each distinct word once."""
    selection = Selection(most, seed, compose)
    for words in parts:
        selection.add(words)
    return selection.result()


def _uniform(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(0, 1]: the upper 53 bits of the hashes, mixed once more (splitmix64's finaliser)."""
    mixed = hashes ^ (hashes >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    draws: NDArray[np.float64] = ((mixed >> np.uint64(11)) + np.uint64(1)).astype(np.float64) / 2.0**53
    return draws


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
    """The words, _BORDER after each."""
    before = np.repeat(np.arange(len(words)), np.diff(words.offsets))
    text = np.full(len(words.data) + len(words), _BORDER, np.uint8)
    text[np.arange(len(words.data)) + before] = words.data
    return text.tobytes().decode()


def _pairs(words: Words) -> Iterator[tuple[str, int]]:
    data = words.data.tobytes()
    spans = pairwise(words.offsets.tolist())
    return ((data[a:b].decode(), count) for (a, b), count in zip(spans, words.counts.tolist(), strict=True))
