"""Adjusted counts of the n-grams of one order, and a byte of flags for each.

Twin: corpora.perplexity.ngram_counts.count_ngrams
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.estimation.neighbours import Bytes, longest_of, shared_of

Counts = npt.NDArray[np.uint32]

STARTS_SENTENCE = 1  # it begins with <s>, so nothing can come before it
PRUNED = 2
IS_CONTEXT = 4  # the context of a kept n-gram of the next order
EXTENDS_LEFT = 8  # a kept n-gram of the next order is this n-gram with a word before it


@kernel
def count_part(
    packed: Bytes,
    start: int,
    stop: int,
    k: int,
    order: int,
    threshold: int,
    first: int,
    adjusted: Counts,
    flags: Bytes,
) -> None:
    """Fills `adjusted` and `flags` from index `first` on with the k-grams that end at the places start .. stop - 1.

    The adjusted count is the number of different words before the n-gram; if there can be none, and in the highest
    order, it is the number of occurrences. Both grow by one at every place whose longest n-gram in common with the
    place before is this one.
    """
    index = np.uint64(first - 1)
    occurrences = 0
    for place in range(np.uint64(start), np.uint64(stop)):
        shared, longest = shared_of(packed[place]), longest_of(packed[place])
        if shared >= k:
            occurrences += 1
            adjusted[index] += np.uint32(shared == k)
            continue
        if 0 < occurrences <= threshold:
            flags[index] |= np.uint8(PRUNED)
        occurrences = 0
        if longest >= k:
            index += np.uint64(1)
            occurrences = 1
            adjusted[index] = 1
            flags[index] = STARTS_SENTENCE if longest == k < order else 0
    if 0 < occurrences <= threshold:
        flags[index] |= np.uint8(PRUNED)
