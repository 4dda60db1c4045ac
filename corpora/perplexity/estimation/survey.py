"""Counts the n-grams of all orders, before any of them is stored, in one pass over the neighbours.

Twin: corpora.perplexity.ngram_counts.counts_of_counts
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.estimation.neighbours import Bytes, longest_of, shared_of

DISTINCT, KEPT, COUNTED = 0, 1, 2  # columns; COUNTED + c: n-grams with the adjusted count c, 0 to 4
COLUMNS = COUNTED + 5


@dataclass(frozen=True)
class Survey:
    """parts: int64[chunks, order + 1, COLUMNS], of each part of the suffix order; row 0 is not used."""

    parts: npt.NDArray[np.int64]

    def first(self, order: int, part: int) -> int:
        """The index of the first n-gram of a part, among those of its order."""
        return int(self.parts[:part, order, DISTINCT].sum())

    def total(self, order: int, column: int) -> int:
        return int(self.parts[:, order, column].sum())

    def counts_of_counts(self, order: int) -> list[int]:
        return [self.total(order, COUNTED + count) for count in range(5)]


@kernel
def survey_part(
    packed: Bytes, start: int, stop: int, order: int, thresholds: npt.NDArray[np.int64], last: bool
) -> npt.NDArray[np.int64]:
    """int64[order + 1, COLUMNS] for the n-grams that end only at the places start .. stop - 1.

    thresholds[k]: an n-gram of order k with at most this many occurrences is pruned. last: the suffix order ends
    here. For the last n-gram of every order but the highest, lmplz takes the occurrences as its count
    (adjust_counts.cc).
    """
    found = np.zeros((order + 1, COLUMNS), np.int64)
    adjusted = np.zeros(order + 1, np.int64)
    occurrences = np.zeros(order + 1, np.int64)
    opened = np.int64(0)
    for place in range(start, stop + 1):
        shared = longest = np.int64(0)
        if place < stop:
            shared, longest = shared_of(packed[place]), longest_of(packed[place])
        for k in range(shared + 1, opened + 1):  # these end before this place
            count = occurrences[k] if last and place == stop and k < order else adjusted[k]
            found[k, KEPT] += occurrences[k] > thresholds[k]
            if count < 5:
                found[k, COUNTED + count] += 1
        for k in range(1, shared + 1):
            occurrences[k] += 1
        adjusted[shared] += 1
        for k in range(shared + 1, longest + 1):
            found[k, DISTINCT] += 1
            occurrences[k] = adjusted[k] = 1
        opened = longest
    return found
