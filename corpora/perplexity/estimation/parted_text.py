"""A text whose parts were numbered by `item_ids`: their ids become those of the whole text, then it is estimated.

Memory: the vocabulary, one part's words, and the run's memory for arrays; the ids go from the parts' files to the
text, which may be a mapped file itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.perplexity.estimation.estimator import Progress
from corpora.perplexity.estimation.item_ids import PartFiles, lengths
from corpora.perplexity.estimation.large_text import check_words, estimated, memory_at_hand, room_for_words
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.spool import BLOCK, check_length
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.estimation.vocabulary import Vocabulary, vocabulary_of
from corpora.perplexity.estimation.words import SPECIAL_WORDS, WordNumbers
from corpora.perplexity.ngram_counts import BEGIN
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.small_text import NO_SENTENCE, Written

_BLOCK_BYTES = 4 << 20  # of words looked up at once
_SPECIAL = len(b"\0".join(SPECIAL_WORDS)) + 1  # bytes of the first words of every part


class _RawWords:
    """The ids of raw words in the whole text."""

    def __init__(self) -> None:
        self._numbers = WordNumbers()
        self.vocabulary = self._numbers.vocabulary

    def ids(self, words: bytes) -> npt.NDArray[np.uint32]:
        """The id of each word; new words get the next ids. words: a NUL after each, which ends a raw word."""
        found, start = [np.empty(0, np.uint32)], 0
        while start < len(words):
            end = words.rfind(b"\0", start, start + _BLOCK_BYTES) + 1 or words.index(b"\0", start) + 1
            found.append(self._numbers.number(words[start:end] + b"\n")[0][1:-1].copy())
            start = end
        return np.concatenate(found)


class _Pieces:
    """The ids of pieces in the whole text; they may contain any character but NUL."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}

    def ids(self, words: bytes) -> npt.NDArray[np.uint32]:
        first = len(SPECIAL_WORDS)
        found = [self._ids.setdefault(word, first + len(self._ids)) for word in words.split(b"\0")[:-1]]
        return np.array(found, np.uint32)

    def vocabulary(self) -> Vocabulary:
        return vocabulary_of([*SPECIAL_WORDS, *self._ids])


def write_parted_model(parts: Sequence[PartFiles], out: Path, settings: LmSettings, progress: Progress) -> Written:
    """Estimates the model of all parts, in the order given, and writes it. Raises as `Text.write_model` does."""
    length = lengths(parts)
    check_length(length)
    if not length:
        raise BadArgument(NO_SENTENCE)
    known = _RawWords() if settings.words else _Pieces()
    for part in parts:
        known.ids(_own_words(part))
    vocabulary = known.vocabulary()
    check_words(vocabulary)
    memory = memory_at_hand(settings.memory)
    with Scratch(out, max(0, memory - room_for_words(vocabulary))) as scratch:
        text = _text(parts, known, length, settings.order, len(vocabulary), scratch)
        del known
        return estimated(out, text, vocabulary, settings, scratch, progress)


def _own_words(part: PartFiles) -> bytes:
    """The part's words but for the special ones, which come first."""
    return part.read_words()[_SPECIAL:]


def _text(
    parts: Sequence[PartFiles], known: _RawWords | _Pieces, length: int, lead: int, words: int, scratch: Scratch
) -> Ids:
    """As `IdSpool.text`."""
    text = scratch.array(lead + length + 1, np.uint16 if words <= 1 << 16 else np.uint32)
    text[:lead] = BEGIN
    text[-1] = BEGIN
    filled, special = lead, np.arange(len(SPECIAL_WORDS), dtype=text.dtype)
    for part in parts:
        table = np.concatenate([special, known.ids(_own_words(part)).astype(text.dtype)])
        for ids in part.read_ids(BLOCK):
            text[filled : filled + len(ids)] = table[ids]
            filled += len(ids)
    assert filled == lead + length
    return text
