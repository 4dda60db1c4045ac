"""Raw words of a text as bytes -> ids by first occurrence. Words end as in lmplz: at NUL, tab, CR and space.

Twin: corpora.perplexity.small_text.SmallText
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.estimation.vocabulary import SPARE, Vocabulary, vocabulary_of
from corpora.perplexity.ngram_counts import BEGIN, END
from corpora.text.murmur import murmur

SPECIAL_WORDS = (b"<unk>", b"<s>", b"</s>")
_NEWLINE, _SPACE = 10, 32
_SEPARATORS = np.uint64(1 << 0 | 1 << 9 | 1 << _NEWLINE | 1 << 13 | 1 << _SPACE)
Number = TypeVar("Number", bound=np.generic)

_WORDS, _NAMES, _IDS, _BLANK = range(4)  # indices of `_number_words`'s progress


class WordNumbers:
    """The ids of all words so far: a hash table by KenLM's hash; equal hashes are treated as equal words."""

    def __init__(self) -> None:
        first = vocabulary_of(SPECIAL_WORDS)
        self._hashes = np.zeros(1 << 10, np.uint64)
        self._ids = np.zeros(1 << 10, np.uint32)  # 0: free
        self._names = first.data
        self._ends = first.ends
        self._words = len(first)

    def number(self, data: bytes) -> tuple[npt.NDArray[np.uint32], int]:
        """(ids of all sentences of `data`, each from `<s>` to `</s>`; number of blank lines). Lines end with \\n."""
        self._make_room(len(data))
        text = np.frombuffer(data + bytes(SPARE), np.uint8)
        ids = np.empty(2 * len(data) + 3, np.uint32)
        state = np.zeros(4, np.int64)
        state[_WORDS], state[_NAMES] = self._words, self._ends[self._words - 1]
        _number_words(text, len(data), self._hashes, self._ids, self._names, self._ends, ids, state)
        self._words = int(state[_WORDS])
        return ids[: state[_IDS]], int(state[_BLANK])

    def _make_room(self, length: int) -> None:
        """Room for a text of `length` bytes, even if it consists of new one-letter words."""
        words, names = self._words + length // 2 + 1, int(self._ends[self._words - 1]) + 2 * length + SPARE
        if len(self._ends) < words:
            self._ends = _longer(self._ends, words)
        if len(self._names) < names:
            self._names = _longer(self._names, names)
        if len(self._ids) < words + words // 2:
            size = 1 << (2 * words - 1).bit_length()
            hashes, ids = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
            _rehash(self._hashes, self._ids, hashes, ids)
            self._hashes, self._ids = hashes, ids

    def vocabulary(self) -> Vocabulary:
        ends = self._ends[: self._words].copy()
        return Vocabulary(self._names[: ends[-1] + SPARE].copy(), ends)


def _longer(array: npt.NDArray[Number], length: int) -> npt.NDArray[Number]:
    """A copy with room for `length` values."""
    longer = np.zeros(max(length, 2 * len(array)), array.dtype)
    longer[: len(array)] = array
    return longer


@kernel
def _rehash(
    hashes: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.uint32],
    new_hashes: npt.NDArray[np.uint64],
    new_ids: npt.NDArray[np.uint32],
) -> None:
    mask = np.uint64(new_ids.shape[0] - 1)
    for cell in range(ids.shape[0]):
        if ids[cell]:
            target = hashes[cell] & mask
            while new_ids[target]:
                target = (target + np.uint64(1)) & mask
            new_hashes[target], new_ids[target] = hashes[cell], ids[cell]


@kernel
def _number_words(
    text: npt.NDArray[np.uint8],
    length: int,
    hashes: npt.NDArray[np.uint64],
    table: npt.NDArray[np.uint32],
    names: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> None:
    """Numbers the words of text[:length], which ends with a newline; there is room for all of them."""
    mask = np.uint64(table.shape[0] - 1)
    words, named, filled, blank = state[_WORDS], state[_NAMES], 0, 0
    position = sentence = 0  # sentence: where it begins in `ids`
    while position < length:
        byte = text[position]
        if byte > _SPACE or not (_SEPARATORS >> np.uint64(byte)) & np.uint64(1):
            start = position
            while byte > _SPACE or not (_SEPARATORS >> np.uint64(byte)) & np.uint64(1):
                position += 1
                byte = text[position]
            key = murmur(text, start, position - start)
            cell = key & mask
            while table[cell] and hashes[cell] != key:
                cell = (cell + np.uint64(1)) & mask
            if not table[cell]:
                hashes[cell], table[cell] = key, words
                for i in range(start, position):
                    names[named] = text[i]
                    named += 1
                names[named] = 0
                named += 1
                ends[words] = named
                words += 1
            if filled == sentence:
                ids[filled] = BEGIN
                filled += 1
            ids[filled] = table[cell]
            filled += 1
        if byte == _NEWLINE:
            if filled == sentence:
                blank += 1
            else:
                ids[filled] = END
                filled += 1
            sentence = filled
        position += 1
    state[_WORDS], state[_NAMES], state[_IDS], state[_BLANK] = words, named, filled, blank
