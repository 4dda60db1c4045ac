"""The order in which the rows of several sources are mixed: a pure function of how many rows each has in an epoch.

An epoch has N rows, of which source d has n_d. Up to three sources: row k of source d is sorted by (k + 1/2) / n_d,
ties by the source's number. Then the first P rows of an epoch hold P n_d / N rows of source d to within one row, for
every P. With four sources and more that order may be further off, if one of them is large. Their rows are placed by
deadlines, which keep to the bound: row k of source d comes no earlier than position floor(k N / n_d) and before
position ceil((k + 1) N / n_d) (Tijdeman 1980, The chairman assignment problem; as tasks, Baruah et al. 1996,
Proportionate progress).

Every epoch has the same order, in which each source goes on where it was: row k of source d in epoch e is row
(e n_d + k) of the source's own epochs.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from corpora.rows.order import Ints

VERSION = 1  # version of the order; a state saved under another version is refused
EPOCH_ROWS = 1 << 20  # the most rows of an epoch: its order is held in memory, 6 bytes a row
MOST_SORTED = 3  # sources


def apportion(weights: Sequence[float], rows: int) -> list[int]:
    """`rows` shared out by largest remainder, ties by number: each share is exact to less than one row.

    weights: finite, none negative, not all 0; computed with as exact fractions.
    """
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    quotas = [weight * rows / total for weight in exact]
    counts = [quota.numerator // quota.denominator for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda d: (counts[d] - quotas[d], d))
    for source in by_remainder[: rows - sum(counts)]:
        counts[source] += 1
    return counts


class Mixture:
    """Which source's row each position of an epoch has.

    counts: the rows of each source in an epoch, each at least 1. rows: their sum.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts, self.rows = list(counts), sum(counts)
        self._sources = mixed(counts)
        self._ranks = _ranks(self._sources, self.counts)
        self._counts = np.asarray(counts, np.int64)

    def at(self, epoch: int, positions: Ints) -> tuple[npt.NDArray[np.uint16], Ints]:
        """The sources of positions of an epoch, and the numbers of their rows, counted over all epochs. O(1) each."""
        sources = self._sources[positions]
        return sources, epoch * self._counts[sources] + self._ranks[positions]

    def read(self, first: int) -> Ints:
        """How many of the first `first` rows of an epoch are each source's, int64[sources]; more rows than an epoch
        has begin it again."""
        whole, rest = divmod(first, self.rows)
        return whole * self._counts + np.bincount(self._sources[:rest], minlength=len(self.counts))


def mixed(counts: Sequence[int]) -> npt.NDArray[np.uint16]:
    """The source of each position of an epoch, uint16[rows]. By deadlines, about 0.5 s for 2**20 rows."""
    return sorted_by_keys(counts) if len(counts) <= MOST_SORTED else by_deadlines(counts)


def sorted_by_keys(counts: Sequence[int]) -> npt.NDArray[np.uint16]:
    """By (k + 1/2) / n_d, ties by source. Division rounds alike everywhere, and keeps the order of 2**20 rows."""
    keys = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    owners = np.repeat(np.arange(len(counts), dtype=np.uint16), counts)
    return owners[np.argsort(keys, kind="stable")]


def by_deadlines(counts: Sequence[int]) -> npt.NDArray[np.uint16]:
    """Each position goes to the row with the earliest deadline among those that may come; ties by source."""
    total, many = sum(counts), len(counts)
    rows = [np.arange(count, dtype=np.int64) for count in counts]
    first = np.concatenate([row * total // count for row, count in zip(rows, counts, strict=True)])
    deadlines = [-(-(row + 1) * total // count) for row, count in zip(rows, counts, strict=True)]
    keys = np.concatenate([deadline * many + source for source, deadline in enumerate(deadlines)])
    by_first = np.argsort(first, kind="stable")
    coming = keys[by_first].tolist()
    begun = np.searchsorted(first[by_first], np.arange(total), side="right").tolist()  # rows that may come by then
    ready: list[int] = []
    order, pushed = [0] * total, 0
    for position, may in enumerate(begun):
        while pushed < may:
            heapq.heappush(ready, coming[pushed])
            pushed += 1
        order[position] = heapq.heappop(ready) % many
    return np.array(order, np.uint16)


def _ranks(sources: npt.NDArray[np.uint16], counts: Sequence[int]) -> npt.NDArray[np.int32]:
    """How many earlier positions have the same source, int32[rows]."""
    ranks = np.empty(len(sources), np.int32)
    ranks[np.argsort(sources, kind="stable")] = np.concatenate([np.arange(count) for count in counts])
    return ranks
