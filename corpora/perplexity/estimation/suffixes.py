"""A text in suffix order, with everything that later steps read: cut into parts, one for each thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from corpora.perplexity.estimation.contexts import next_word_histogram, ngrams_before
from corpora.perplexity.estimation.counts import Counts
from corpora.perplexity.estimation.neighbours import Bytes, compare_neighbours
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.suffix_order import Ids, Places, run, sort_positions, word_borders, word_starts
from corpora.perplexity.estimation.survey import Survey, survey_part
from corpora.perplexity.ngram_counts import END


class Workers:
    """Threads, and the scratch memory that they share. Results never depend on the number of threads."""

    def __init__(self, pool: ThreadPoolExecutor, threads: int, scratch: Scratch) -> None:
        self.pool = pool
        self.threads = threads
        self.scratch = scratch

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        return run(self.pool, function, calls)


@dataclass(frozen=True)
class Suffixes:
    """text: `order` times `<s>`, the sentences, `<s>`. positions, packed, next_words: by place, see `neighbours`.

    starts: where each word's places begin. borders: where the parts begin, each with a new last word, and the end.
    next_places: for every part uint32[words], for each word, its first place that follows a position of the part.
    """

    text: Ids
    order: int
    positions: Counts
    packed: Bytes
    next_words: Ids
    starts: Places
    borders: list[int]
    next_places: list[Counts]

    @property
    def parts(self) -> list[tuple[int, int]]:
        """(first place, end) of each part."""
        return list(pairwise(self.borders))

    @property
    def counted_parts(self) -> list[tuple[int, int]]:
        """The parts without `<s>`, which comes first in suffix order, and which ends no n-gram."""
        return [(max(start, int(self.starts[END])), stop) for start, stop in self.parts]

    @property
    def sentences(self) -> int:
        return int(self.starts[END + 1] - self.starts[END])

    def survey(self, workers: Workers, thresholds: Sequence[int]) -> Survey:
        limits = np.array([0, *thresholds], np.int64)
        calls = [(self.packed, a, b, self.order, limits, b == self.borders[-1]) for a, b in self.counted_parts]
        return Survey(np.stack(workers.run(survey_part, calls)))

    def next_ngrams(self, workers: Workers, order: int) -> list[Counts]:
        """For every part, the index of the n-gram of one order at or after its `next_places`."""
        return workers.run(ngrams_before, [(self.packed, order, places) for places in self.next_places])


def order_suffixes(workers: Workers, text: Ids, order: int, words: int) -> Suffixes:
    """Sorts a text (see `Suffixes`) of `words` word ids, all of which except `<unk>` must occur."""
    scratch = workers.scratch
    starts = word_starts(workers.pool, text, order, words, workers.threads)
    positions = sort_positions(workers.pool, text, order, starts, workers.threads, scratch)
    borders = [int(starts[word]) for word in word_borders(starts, workers.threads)]
    packed = scratch.array(len(positions), np.uint8)
    next_words = scratch.array(len(positions), text.dtype)
    parts = list(pairwise(borders))
    workers.run(compare_neighbours, [(text, positions, order, a, b, packed, next_words) for a, b in parts])
    following = workers.run(next_word_histogram, [(next_words, a, b, words) for a, b in parts])
    next_places = [starts[:-1].astype(np.uint32)]
    for counts in following[:-1]:
        next_places.append(next_places[-1] + counts)
    return Suffixes(text, order, positions, packed, next_words, starts, borders, next_places)
