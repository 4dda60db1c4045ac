"""A memory-mapped KenLM probing binary, scored without kenlm: from word ids, many lines at once, without the GIL."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.perplexity.lm_header import LmHeader
from corpora.perplexity.lm_sizes import ProbingLayout
from corpora.perplexity.ngram_kernels import Tables, score_lines
from corpora.perplexity.vocabulary_kernels import SPARE, find_words, hash_words

_NUMBER_BYTES = 4
_LARGEST = 1 << 62
_LONGEST_WALK = 1024  # times the mean walk: with a good hash, no walk reaches 100 times, however large the table


class ProbingModel:
    """The model in a probing binary that has passed `check_lm`. Threads share it; processes share its pages.

    Only the file's header is trusted: whatever the tables contain, nothing outside them is read, and scoring ends.
    Scores are kenlm's, bit for bit.
    """

    def __init__(self, path: str | Path, header: LmHeader) -> None:
        assert header.type == "probing"
        assert header.layout is not None
        layout = header.layout
        self.order = header.order
        self.num_words = header.num_words
        self._path = path
        self._passed = _most_passed(header)
        numbers = map_numbers(path, layout.end // _NUMBER_BYTES)
        self._vocabulary = numbers[layout.vocabulary.offset // _NUMBER_BYTES : layout.vocabulary.end // _NUMBER_BYTES]
        begin, end = self.word_ids([b"<s>", b"</s>"])
        self._tables = _tables(numbers, layout, begin, end)

    def word_ids(self, words: Sequence[bytes]) -> npt.NDArray[np.uint32]:
        """The id of each word in the vocabulary; 0 (`<unk>`) for unknown words."""
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        hashes = hash_words(np.frombuffer(b"".join(words) + bytes(SPARE), np.uint8), offsets)
        return self.hashed_word_ids(hashes)

    def hashed_word_ids(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """The ids of words by KenLM's hash of them."""
        return find_words(self._vocabulary, hashes, self.num_words)

    def mass_of(self, words: Sequence[bytes]) -> float:
        """The share of all unigrams' probability that these words have; `<s>`, `</s>` and `<unk>` don't count."""
        first = int(self._tables.unigrams)
        stored = self._tables.numbers[first : first + 2 * self.num_words : 2]
        probabilities = 10.0 ** -np.abs(stored.view(np.float32).astype(np.float64))  # the sign means something else
        for apart in (0, int(self._tables.begin), int(self._tables.end)):
            probabilities[apart] = 0.0
        return float(probabilities[np.unique(self.word_ids(words))].sum() / probabilities.sum())

    def score_lines(self, words: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """log10 of the probability of each line, float32[lines]: `kenlm.Model.score`, with `<s>` and `</s>`.

        Line k has the ids words[offsets[k]:offsets[k + 1]]. Raises DamagedFile if the tables are much too full.
        """
        assert offsets[0] >= 0
        assert offsets[-1] <= len(words)
        assert bool((offsets[1:] >= offsets[:-1]).all())
        assert not len(words) or int(words.max()) < self.num_words
        scores = np.empty(len(offsets) - 1, np.float32)
        looked_up = len(words) + 2 * len(scores) + 1
        passed = np.int64(min(self._passed * looked_up, _LARGEST))
        if not score_lines(self._tables, words, offsets, scores, passed):
            raise DamagedFile(f"{self._path}: its n-gram tables hold more entries than the header says: damaged")
        return scores


def map_numbers(path: str | Path, count: int) -> npt.NDArray[np.uint32]:
    """The file's first `count` 4-byte numbers: its own pages, all mapped at once instead of one page fault each."""
    with open(path, "rb") as file:
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        mapped = mmap.mmap(file.fileno(), count * _NUMBER_BYTES, flags=flags, prot=mmap.PROT_READ)
    return np.frombuffer(mapped, np.uint32)


def _tables(numbers: npt.NDArray[np.uint32], layout: ProbingLayout, begin: np.uint32, end: np.uint32) -> Tables:
    cells = [table.cells for table in layout.ngrams]
    return Tables(
        numbers=numbers,
        unigrams=np.uint64(layout.unigrams.offset // _NUMBER_BYTES),
        starts=np.array([table.offset // _NUMBER_BYTES for table in layout.ngrams], np.uint64),
        cells=np.array(cells, np.uint64),
        inverses=np.array([((1 << 64) - 1) // n for n in cells], np.uint64),
        begin=begin,
        end=end,
    )


def _most_passed(header: LmHeader) -> int:
    """How many 4-byte numbers a word's look-ups may pass over, on average over a call.

    Linear probing at load a looks at (1 + 1 / (1 - a)**2) / 2 cells for a key that isn't there (Knuth, TAOCP 3, 6.4).
    """
    assert header.layout is not None
    passed = 0
    for table, count in zip(header.layout.ngrams, header.counts[1:], strict=True):
        free = max(table.cells - count, 1) / table.cells
        cells = min(table.cells, int(_LONGEST_WALK * (1 + 1 / free**2) / 2))
        passed += cells * table.entry.itemsize // _NUMBER_BYTES
    return passed
