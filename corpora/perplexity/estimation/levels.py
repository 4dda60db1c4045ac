"""The n-grams of one order, from their counts to their probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from corpora.errors import BadArgument
from corpora.perplexity.estimation.contexts import Floats, weigh_part
from corpora.perplexity.estimation.counts import PRUNED, Counts, count_part
from corpora.perplexity.estimation.interpolation import interpolate_part
from corpora.perplexity.estimation.neighbours import Bytes
from corpora.perplexity.estimation.suffixes import Suffixes, Workers
from corpora.perplexity.estimation.survey import DISTINCT, Survey
from corpora.perplexity.kneser_ney import discounts_of, unigram_probability
from corpora.perplexity.ngram_counts import BEGIN, END


@dataclass(frozen=True)
class Level:
    """All n-grams of one order, pruned ones included, in suffix order.

    firsts: the index of each part's first n-gram, then the number of all. Unigrams are indexed by word.
    """

    order: int
    firsts: list[int]
    adjusted: Counts
    flags: Bytes
    probability: Floats

    def __len__(self) -> int:
        return self.firsts[-1]


def _counted(workers: Workers, suffixes: Suffixes, survey: Survey, order: int, threshold: int) -> Level:
    """A level without probabilities yet."""
    before = 2 if order == 1 else 0  # <unk> and <s>
    parts = suffixes.counted_parts
    firsts = [before + survey.first(order, part) for part in range(len(parts))]
    number = before + survey.total(order, DISTINCT)
    scratch = workers.scratch
    adjusted, flags = scratch.array(number, np.uint32), scratch.array(number, np.uint8)
    adjusted[:before], flags[:before] = 0, 0
    calls = [
        (suffixes.packed, start, stop, order, suffixes.order, threshold, first, adjusted, flags)
        for (start, stop), first in zip(parts, firsts, strict=True)
    ]
    workers.run(count_part, calls)
    return Level(order, [*firsts, number], adjusted, flags, scratch.array(number, np.float32))


def first_level(workers: Workers, suffixes: Suffixes, survey: Survey, threshold: int) -> Level:
    """Unigrams. Raises BadArgument if pruning removes `</s>`: build_binary refuses such a model, too."""
    if suffixes.sentences <= threshold:
        bound = f"it must be below the number of sentences ({suffixes.sentences})"
        raise BadArgument(f"prune is {threshold} for single words: {bound}")
    level = _counted(workers, suffixes, survey, 1, threshold)
    assert len(level) == len(suffixes.starts) - 1, "some word id is unused"
    level.flags[: END + 1] = 0
    kept = (level.flags & PRUNED) == 0
    discounts = discounts_of(survey.counts_of_counts(1))
    level.probability[:] = unigram_probability(level.adjusted, kept, discounts)
    return level


def next_level(
    workers: Workers, suffixes: Suffixes, survey: Survey, lower: Level, threshold: int
) -> tuple[Level, Floats]:
    """(n-grams of the next order, weights of `lower`'s n-grams as their contexts); completes `lower.flags`."""
    order = lower.order + 1
    level = _counted(workers, suffixes, survey, order, threshold)
    discounts = discounts_of(survey.counts_of_counts(order))
    contexts = workers.scratch.array(len(level), np.uint32)
    weights = workers.scratch.array((len(lower), 2), np.float32)
    _weigh(workers, suffixes, lower, level, discounts, contexts, weights)
    _interpolate(workers, lower, level, discounts, contexts, weights)
    workers.scratch.release(contexts)
    return level, weights


def _weigh(
    workers: Workers,
    suffixes: Suffixes,
    lower: Level,
    level: Level,
    discounts: Floats,
    contexts: Counts,
    weights: Floats,
) -> None:
    next_ngrams = suffixes.next_ngrams(workers, level.order)
    firsts = lower.firsts[:-1]
    if lower.order == 1:
        firsts = [BEGIN, *firsts[1:]]
        weights[0] = 1, 0  # <unk> isn't a context
    given, made = (level.adjusted, level.flags, discounts), (contexts, weights, lower.flags)
    calls = [
        (suffixes.packed, suffixes.next_words, start, stop, level.order, places.copy(), ngrams, *given, first, *made)
        for (start, stop), places, ngrams, first in zip(
            suffixes.parts, suffixes.next_places, next_ngrams, firsts, strict=True
        )
    ]
    workers.run(weigh_part, calls)


def _interpolate(
    workers: Workers, lower: Level, level: Level, discounts: Floats, contexts: Counts, weights: Floats
) -> None:
    below = (lower.adjusted, lower.flags, lower.probability)
    here = (level.adjusted, level.flags, contexts, weights, discounts, level.probability)
    starts = zip(pairwise(lower.firsts), level.firsts[:-1], strict=True)
    calls = [(start, end, first, *below, *here) for (start, end), first in starts]
    workers.run(interpolate_part, calls)
