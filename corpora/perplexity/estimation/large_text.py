"""A large text: numbered by a compiled thread while the next part is read, then estimated in bounded memory."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument, TamizError
from corpora.perplexity.estimation.estimator import Progress, write_model
from corpora.perplexity.estimation.pieces import PieceNumbers
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.spool import IdSpool
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.estimation.vocabulary import Vocabulary, vocabulary_of
from corpora.perplexity.estimation.words import WordNumbers
from corpora.perplexity.kenlm_binary import murmur_hash
from corpora.perplexity.pieces import batches
from corpora.perplexity.reserved_words import SPECIAL_WORDS, reserved_word
from corpora.perplexity.settings import LmSettings, parse_size
from corpora.perplexity.small_text import NO_SENTENCE, Written

Numbered = tuple[npt.NDArray[np.uint32], int]

_BLOCK_BYTES = 4 << 20  # bytes of words numbered at once
_WAITING = 4  # blocks read ahead of the numbering
_WORD_BYTES = 64  # memory that the steps need per word
_log = logging.getLogger(__name__)


def blocks(data: bytes) -> Iterator[bytes]:
    """The same bytes in blocks that end with a newline. Only a block of one long line exceeds _BLOCK_BYTES."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BLOCK_BYTES) + 1 or data.index(b"\n", start) + 1
        yield data[start:end]
        start = end


def memory_at_hand(size: str) -> int:
    """At most the memory of this machine or container: the rest goes to disk, which doesn't change the result."""
    memory = parse_size(size)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else memory
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        there = min(there, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    if there < memory:
        _log.warning(
            "memory is %.1f GB, but this machine has only %.1f GB: the rest goes to disk", memory / 1e9, there / 1e9
        )
    return min(memory, there)


class LargeText:
    """Sentences, added in order, then written as a model; see `Text`."""

    def __init__(self, out: str | Path, settings: LmSettings) -> None:
        self.blank_lines = 0
        self._memory = memory_at_hand(settings.memory)
        self._spool = IdSpool(out, self._memory // 4)
        self._vocabulary = vocabulary_of([])

    def add_words(self, texts: Iterable[str]) -> None:
        """The raw words of every line of the texts."""
        numbers = WordNumbers()
        joined = (("\n".join(batch) + "\n").encode() for batch in batches(texts))
        self._add(numbers.number, (block for data in joined for block in blocks(data)))
        self._vocabulary = numbers.vocabulary()

    def add_lines(self, processor: Any, lines: Iterable[str]) -> None:
        """The pieces of every line."""
        numbers = PieceNumbers(processor)
        self._add(numbers.number, batches(lines))
        self._vocabulary = numbers.vocabulary()

    def _add(self, number: Callable[[Any], Numbered], blocks: Iterator[Any]) -> None:
        waiting: deque[Future[Numbered]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for block in blocks:
                waiting.append(pool.submit(number, block))
                if len(waiting) > _WAITING:
                    self._keep(waiting.popleft().result())
            while waiting:
                self._keep(waiting.popleft().result())

    def _keep(self, numbered: Numbered) -> None:
        ids, blank = numbered
        self._spool.add(ids)
        self.blank_lines += blank

    def write_model(self, out: Path, settings: LmSettings, progress: Progress) -> Written:
        if not self._spool.length:
            raise BadArgument(NO_SENTENCE)
        check_words(self._vocabulary)
        with Scratch(out, max(0, self._memory - room_for_words(self._vocabulary))) as scratch:
            text = self._spool.text(settings.order, len(self._vocabulary), scratch)
            return estimated(out, text, self._vocabulary, settings, scratch, progress)


def room_for_words(vocabulary: Vocabulary) -> int:
    """Bytes that the steps need for the words."""
    return len(vocabulary) * _WORD_BYTES + vocabulary.data.nbytes


def check_words(vocabulary: Vocabulary) -> None:
    """Raises TamizError if a word is a special one, or has its hash."""
    hashes = vocabulary.hashes()[len(SPECIAL_WORDS) :]
    for word in SPECIAL_WORDS:
        if (hashes == np.uint64(murmur_hash(word.encode()))).any():
            raise TamizError(reserved_word(word))


def estimated(
    out: Path, text: Ids, vocabulary: Vocabulary, settings: LmSettings, scratch: Scratch, progress: Progress
) -> Written:
    """Estimates the model of a text of ids and writes it."""
    return write_model(
        out, text, vocabulary, settings.order, settings.prune, scratch, arpa=settings.arpa, progress=progress
    )
