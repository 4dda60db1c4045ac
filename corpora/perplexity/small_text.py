"""The text of a small corpus, numbered and estimated with numpy: faster than compiling anything first."""

from __future__ import annotations

import itertools
import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from corpora.errors import BadArgument, TamizError
from corpora.perplexity.kenlm_binary import write_kenlm_binary
from corpora.perplexity.kneser_ney import estimate
from corpora.perplexity.ngram_counts import BEGIN, END, Ids
from corpora.perplexity.pieces import batches
from corpora.perplexity.reserved_words import SPECIAL_WORDS, reserved_word
from corpora.perplexity.settings import SENTENCEPIECE_THREADS, LmSettings

Progress = Callable[[int, int], None]

NO_SENTENCE = "no sentence in the input: every line is blank"
_WORDS = re.compile(r"[^\0\t\r ]+")  # lmplz's words: it treats other white space as letters


@dataclass(frozen=True)
class Written:
    """The size of a written model. counts: n-grams of each order."""

    counts: list[int]
    sentences: int


class Text(Protocol):
    """Sentences, added in order, then written as a model. Blank ones are only counted."""

    blank_lines: int

    def add_words(self, texts: Iterable[str]) -> None:
        """The raw words of every line of the texts."""

    def add_lines(self, processor: Any, lines: Iterable[str]) -> None:
        """The pieces of every line."""

    def write_model(self, out: Path, settings: LmSettings, progress: Progress) -> Written:
        """Estimates and writes the model. Raises BadArgument without a sentence, TamizError for reserved words."""


class SmallText:
    """Numbers words by first occurrence: `<s>`, words, `</s>`, sentence after sentence, 4 bytes each."""

    def __init__(self) -> None:
        self.blank_lines = 0
        self._ids = array("I")
        self._vocabulary: defaultdict[str, int] = defaultdict(itertools.count(len(SPECIAL_WORDS)).__next__)

    def add_words(self, texts: Iterable[str]) -> None:
        for text in texts:
            for line in text.split("\n"):
                self._add(_WORDS.findall(line))

    def add_lines(self, processor: Any, lines: Iterable[str]) -> None:
        for batch in batches(lines):
            for pieces in processor.encode(batch, out_type=str, num_threads=SENTENCEPIECE_THREADS):
                self._add(pieces)

    def _add(self, words: list[str]) -> None:
        if not words:
            self.blank_lines += 1
            return
        self._ids.append(BEGIN)
        self._ids.extend(map(self._vocabulary.__getitem__, words))
        self._ids.append(END)

    def numbered(self) -> tuple[Ids, list[str]]:
        """(ids, 16 bits each if they fit; the word of each id)."""
        for word in SPECIAL_WORDS:
            if word in self._vocabulary:
                raise TamizError(reserved_word(word))
        if not self._ids:
            raise BadArgument(NO_SENTENCE)
        words = [*SPECIAL_WORDS, *map(sys.intern, self._vocabulary)]
        ids = np.frombuffer(self._ids, np.uint32)
        return (ids.astype(np.uint16) if len(words) <= 1 << 16 else ids.copy()), words

    def write_model(self, out: Path, settings: LmSettings, progress: Progress) -> Written:
        ids, words = self.numbered()
        model = estimate(ids, settings.order, prune=settings.prune, progress=progress)
        write_kenlm_binary(out, model, words)
        if settings.arpa is not None:
            from corpora.perplexity.arpa import write_arpa

            write_arpa(settings.arpa, model, words)
        return Written(model.counts, int(np.count_nonzero(ids == BEGIN)))
