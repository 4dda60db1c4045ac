"""Computes the probabilities of one order from those of the order below.

Twin: tests/reference/kneser_ney_dictionary.py::DictionaryModel
"""

from __future__ import annotations

import numpy as np

from corpora.compiled import kernel, prefetch
from corpora.perplexity.estimation.contexts import BACKOFF, TOTAL, Floats
from corpora.perplexity.estimation.counts import EXTENDS_LEFT, PRUNED, STARTS_SENTENCE, Counts
from corpora.perplexity.estimation.neighbours import Bytes

_AHEAD = 24  # n-grams: their contexts' weights are prefetched this far before they are used


@kernel
def interpolate_part(
    first_lower: int,
    end_lower: int,
    first: int,
    lower_adjusted: Counts,
    lower_flags: Bytes,
    lower_probability: Floats,
    adjusted: Counts,
    flags: Bytes,
    contexts: Counts,
    weights: Floats,
    discounts: Floats,
    probability: Floats,
) -> None:
    """Fills `probability` from index `first` on: the n-grams that extend first_lower .. end_lower - 1 to the left.

    Both orders are sorted alike, so an n-gram's extensions are adjacent, and its adjusted count is their number. Sets
    EXTENDS_LEFT in `lower_flags`. float32 operations in the order of interpolate.cc.
    """
    ngram = np.uint64(first)
    most = np.uint64(adjusted.shape[0] - 1)
    for lower in range(np.uint64(first_lower), np.uint64(end_lower)):
        if lower_flags[lower] & np.uint8(STARTS_SENTENCE):
            continue
        extended = False
        for _ in range(lower_adjusted[lower]):
            prefetch(weights, np.int64(2) * np.int64(contexts[min(ngram + np.uint64(_AHEAD), most)]))
            count = np.int64(adjusted[ngram])
            context = contexts[ngram]
            share = (np.float32(count) - discounts[min(count, np.int64(3))]) / weights[context, TOTAL]
            probability[ngram] = share + weights[context, BACKOFF] * lower_probability[lower]
            extended = extended or not flags[ngram] & np.uint8(PRUNED)
            ngram += np.uint64(1)
        if extended:
            lower_flags[lower] |= np.uint8(EXTENDS_LEFT)
