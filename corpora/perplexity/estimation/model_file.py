"""A KenLM probing binary that is being written: reserved at its full size and mapped, with its parts as arrays."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from corpora.files import atomic_path, cannot_write
from corpora.perplexity.estimation.contexts import Floats
from corpora.perplexity.estimation.scratch import reserve
from corpora.perplexity.estimation.tables import Cells, fill_vocabulary
from corpora.perplexity.estimation.vocabulary import Vocabulary
from corpora.perplexity.lm_header import (
    LONGEST_ENTRY,
    MIDDLE_ENTRY,
    PROBING_MULTIPLIER,
    UNIGRAM_ENTRY,
    VOCABULARY_ENTRY,
    VOCABULARY_HEADER,
    num_buckets,
    pack_header,
)


class ModelFile:
    """The layout of a model of `counts` n-grams, and its bytes. Mapped pages aren't the process's own memory."""

    def __init__(self, counts: Sequence[int], strings: int) -> None:
        self.counts = list(counts)
        self._header = pack_header(counts)
        self._vocabulary = len(self._header)
        words = num_buckets(counts[0], PROBING_MULTIPLIER) * VOCABULARY_ENTRY.itemsize
        self._unigrams = self._vocabulary + VOCABULARY_HEADER.size + words
        end = self._unigrams + (counts[0] + 1) * UNIGRAM_ENTRY.itemsize  # one to spare: KenLM may add <unk>
        self._tables = []
        for order, count in enumerate(counts[1:], 2):
            self._tables.append(end)
            entry = LONGEST_ENTRY if order == len(counts) else MIDDLE_ENTRY
            end += num_buckets(count, PROBING_MULTIPLIER) * entry.itemsize
        self._strings = end
        self.size = end + strings
        self._map: mmap.mmap

    def open(self, path: Path) -> None:
        with open(path, "w+b") as file:
            reserve(file.fileno(), self.size)
            self._map = mmap.mmap(file.fileno(), self.size)
        self._map[: len(self._header)] = self._header

    def write_vocabulary(self, vocabulary: Vocabulary) -> None:
        head = VOCABULARY_HEADER.pack(0, len(vocabulary))
        table = self._vocabulary + len(head)
        self._map[self._vocabulary : table] = head
        fill_vocabulary(
            vocabulary.hashes(), self._cells(table, self._unigrams), num_buckets(len(vocabulary), PROBING_MULTIPLIER)
        )
        self._map[self._strings :] = vocabulary.strings()

    def unigrams(self) -> Floats:
        """float32[2 * (words + 1)]: log10 probability and back-off of every word."""
        return self._cells(self._unigrams, self._tables[0]).view(np.float32)

    def table(self, order: int) -> tuple[Cells, int]:
        """The hash table of one order (2 or higher) as uint32, and its number of buckets."""
        start, end = [*self._tables, self._strings][order - 2 : order]
        return self._cells(start, end), num_buckets(self.counts[order - 1], PROBING_MULTIPLIER)

    def _cells(self, start: int, end: int) -> Cells:
        """Bytes of the file as uint32. Every part before the strings begins at a multiple of 4."""
        return np.frombuffer(self._map, np.uint32, (end - start) // 4, start)


@contextmanager
def new_model_file(path: str | Path, counts: Sequence[int], vocabulary: Vocabulary) -> Iterator[ModelFile]:
    """A file that appears at `path` if the block succeeds. Raises TamizError at once if the disk lacks the space."""
    with atomic_path(path) as temporary:
        file = ModelFile(counts, int(vocabulary.ends[-1]))
        try:
            file.open(temporary)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise cannot_write(Path(path), error, file.size) from error
        file.write_vocabulary(vocabulary)
        yield file
