"""Pieces of a SentencePiece model -> ids by first occurrence. Unknown pieces are distinguished by their text.

Twin: corpora.perplexity.small_text.SmallText
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.estimation.vocabulary import Vocabulary, vocabulary_of
from corpora.perplexity.estimation.words import SPECIAL_WORDS
from corpora.perplexity.ngram_counts import BEGIN, END
from corpora.perplexity.settings import SENTENCEPIECE_THREADS

_IDS, _WORDS, _BLANK = range(3)  # indices of `_number_codes`'s progress


class PieceNumbers:
    """The ids of all pieces so far. A piece's code is its SentencePiece id; unknown pieces have higher codes."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._unknown = int(processor.unk_id())
        self._codes: dict[str, int] = {}  # codes of unknown pieces
        pieces = int(processor.get_piece_size())
        self._known = {processor.id_to_piece(number): number for number in range(pieces)}
        self._first_code = pieces
        self._ids = np.zeros(2 * pieces, np.uint32)  # indexed by code; 0: not seen yet
        self._order = np.zeros(2 * pieces, np.int64)  # codes by id
        self._words = len(SPECIAL_WORDS)

    def number(self, lines: list[str]) -> tuple[npt.NDArray[np.uint32], int]:
        """(ids of the lines' sentences, each from `<s>` to `</s>`; number of lines without a piece)."""
        encoded = self._processor.encode(lines, out_type=int, num_threads=SENTENCEPIECE_THREADS)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        codes = np.fromiter(itertools.chain.from_iterable(encoded), np.int64, int(lengths.sum()))
        self._name_unknown(codes, lengths, lines)
        return self.number_codes(codes, lengths)

    def number_codes(
        self, codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint32], int]:
        """As `number`, from the codes of all lines and how many each line has."""
        room = self._first_code + len(self._codes) + 1 + len(SPECIAL_WORDS)  # for codes and ids
        if len(self._ids) < room:
            self._ids = np.concatenate([self._ids, np.zeros(room, np.uint32)])
            self._order = np.concatenate([self._order, np.zeros(room, np.int64)])
        ids = np.empty(len(codes) + 2 * len(lengths), np.uint32)
        state = np.array([0, self._words, 0], np.int64)
        _number_codes(codes, lengths, self._ids, self._order, ids, state)
        self._words = int(state[_WORDS])
        return ids[: state[_IDS]], int(state[_BLANK])

    def _name_unknown(self, codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], lines: list[str]) -> None:
        """Gives each unknown piece a code. An unknown piece spelt like a known piece gets the known one's code."""
        places = np.flatnonzero(codes == self._unknown)
        owners = np.searchsorted(np.cumsum(lengths), places, side="right")
        surfaces: list[str] = []
        for owner in np.unique(owners).tolist():
            numbers = self._processor.encode(lines[owner], out_type=int)
            pieces = self._processor.encode(lines[owner], out_type=str)
            surfaces += [piece for piece, number in zip(pieces, numbers, strict=True) if number == self._unknown]
        codes[places] = [self.code(surface) for surface in surfaces]

    def code(self, surface: str) -> int:
        """The code of an unknown piece."""
        if surface in self._known and self._known[surface] != self._unknown:
            return self._known[surface]
        return self._codes.setdefault(surface, self._first_code + len(self._codes))

    def vocabulary(self) -> Vocabulary:
        surfaces = list(self._codes)
        codes = self._order[len(SPECIAL_WORDS) : self._words].tolist()
        first = self._first_code
        words = [self._processor.id_to_piece(c) if c < first else surfaces[c - first] for c in codes]
        return vocabulary_of([*SPECIAL_WORDS, *(word.encode() for word in words)])


@kernel
def _number_codes(
    codes: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.uint32],
    order: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> None:
    words, filled, blank, position = state[_WORDS], 0, 0, 0
    for line in range(lengths.shape[0]):
        if not lengths[line]:
            blank += 1
            continue
        ids[filled] = BEGIN
        filled += 1
        for _ in range(lengths[line]):
            code = codes[position]
            position += 1
            if not numbers[code]:
                numbers[code] = words
                order[words] = code
                words += 1
            ids[filled] = numbers[code]
            filled += 1
        ids[filled] = END
        filled += 1
    state[_IDS], state[_WORDS], state[_BLANK] = filled, words, blank
