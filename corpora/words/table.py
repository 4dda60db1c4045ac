"""Words and their counts in memory: a hash table that compares bytes, so words with equal hashes stay distinct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from corpora.words.kernels import FREE, LINE, SKIP, SPACE, SPARE, add_words, count_words, fill_cells

LONGEST_WORD = 384  # bytes, 128 characters of CJK; the time to find pieces grows with the square of the length
Number = TypeVar("Number", bound=np.generic)
_Arrays = tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
_FIRST_WORDS = 1 << 14
_NAME_BYTES = 16  # room for a word's bytes, on average, at first


@dataclass(frozen=True)
class Words:
    """Word k is data[offsets[k]:offsets[k + 1]] and occurs counts[k] times. uint8, int64[n + 1] from 0, int64[n]."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)


class HashedWords(NamedTuple):
    """Words and their hashes, uint64[n], each of which depends on the word's bytes alone."""

    words: Words
    hashes: NDArray[np.uint64]


class WordTable:
    """Counts words. keep_spaces decides what a word is.

    False, for normalisers that turn all white space into one space: ASCII white space (and NUL) separates words.
    True, for text that is encoded unchanged: a word starts with the spaces before it, and a document's first word has
    one more (SentencePiece's dummy prefix); a run of line ends is a word; tab and NUL separate words and are dropped.
    """

    def __init__(self, keep_spaces: bool) -> None:
        self.words_counted = 0
        self.words_cut = 0
        self._border = "\0 " if keep_spaces else "\0"
        self._classes = _classes(keep_spaces)
        self._state = np.zeros(3, np.int64)
        self.clear()

    def clear(self) -> None:
        """Removes all words. `words_counted` and `words_cut` stay."""
        self._state[0] = 0
        self._cells = np.full(2 * _FIRST_WORDS, FREE, np.int32)
        self._hashes = np.empty(_FIRST_WORDS, np.uint64)
        self._counts = np.empty(_FIRST_WORDS, np.int64)
        self._ends = np.zeros(_FIRST_WORDS + 1, np.int64)
        self._names = np.empty(_FIRST_WORDS * _NAME_BYTES + SPARE, np.uint8)

    def count(self, texts: Sequence[str]) -> None:
        """Counts the words of the texts; no word spans two texts. The hot loop releases the GIL."""
        joined = "".join((self._border, self._border.join(texts), "\0")).encode()
        text = np.frombuffer(joined + bytes(SPARE), np.uint8)
        position = 0
        while position < len(joined):
            position = count_words(
                text, position, len(joined), LONGEST_WORD, self._classes, *self._arrays(), self._state
            )
            if position < len(joined):
                self._grow(LONGEST_WORD)
        self.words_counted, self.words_cut = int(self._state[1]), int(self._state[2])

    def add(self, words: Words) -> None:
        """Adds words with their counts. The sum doesn't depend on the order of calls."""
        text = np.concatenate([words.data, np.zeros(SPARE, np.uint8)])
        done = 0
        while done < len(words):
            done = add_words(text, words.offsets, words.counts, done, *self._arrays(), self._state)
            if done < len(words):
                self._grow(int(words.offsets[done + 1] - words.offsets[done]))

    def _arrays(self) -> _Arrays:
        return self._cells, self._hashes, self._counts, self._ends, self._names

    def _grow(self, room: int) -> None:
        """Makes room for twice as many words, or for one more word of `room` bytes."""
        words = len(self)
        if words == len(self._counts):
            self._hashes = _longer(self._hashes, 2 * words)
            self._counts = _longer(self._counts, 2 * words)
            self._ends = _longer(self._ends, 2 * words + 1)
            self._cells = np.full(4 * words, FREE, np.int32)
            fill_cells(self._hashes, words, self._cells)
        if self._ends[words] + room > len(self._names) - SPARE:
            self._names = _longer(self._names, 2 * len(self._names) + room)

    def __len__(self) -> int:
        return int(self._state[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the words, without the table."""
        return int(self._ends[len(self)])

    def words(self) -> HashedWords:
        """The words in the order of their first occurrence: views, valid until the next change."""
        words = Words(self._names[: self.nbytes], self._ends[: len(self) + 1], self._counts[: len(self)])
        return HashedWords(words, self._hashes[: len(self)])


def _longer(array: NDArray[Number], length: int) -> NDArray[Number]:
    longer = np.empty(length, array.dtype)
    longer[: len(array)] = array
    return longer


def _classes(keep_spaces: bool) -> NDArray[np.uint8]:
    """The class of every byte, uint8[256]. \\v and other controls stay in words: SentencePiece drops them later."""
    classes = np.zeros(256, np.uint8)
    if keep_spaces:
        classes[[0, ord("\t")]] = SKIP
        classes[[ord("\n"), ord("\r")]] = LINE
        classes[ord(" ")] = SPACE
    else:
        classes[[0, ord("\t"), ord("\n"), ord("\f"), ord("\r"), ord(" ")]] = SKIP
    return classes
