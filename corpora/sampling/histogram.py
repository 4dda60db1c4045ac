"""A summary of perplexities: integer counts in bins of nearly equal logarithmic width.

A bin is the upper 23 bits of the float64: sign, exponent and 11 bits of mantissa. So an octave has 2,048 bins, each
at most 2**-11 of its lower border wide (below 2**-10 in log2), with the same borders on every CPU. Histograms add up
exactly, in any order: a value read off them doesn't depend on how the documents were partitioned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument, DamagedFile

DROPPED_BITS = 41
BIN_WIDTH = 2.0**-11  # the most, relative to the perplexity
COARSE_BITS = 7  # of a bin: what is left of 2,048 bins of an octave is 16
LARGEST_BIN = 0x7FF0_0000_0000_0000 >> DROPPED_BITS  # infinity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Plain(TypedDict):
    """A histogram as JSON: ascending bins (the first itself, the others as steps) and the documents in each."""

    bin_steps: list[int]
    counts: list[int]


class LogHistogram:
    """The number of documents per perplexity bin. Rejected rows (NaN) are left out. Memory: 16 bytes per bin."""

    def __init__(self, bins: Integers, counts: Integers) -> None:
        """Ascending bins int64[b] and their counts int64[b], all above 0."""
        self._bins, self._counts = bins, counts

    @classmethod
    def of(cls, perplexities: npt.ArrayLike) -> LogHistogram:
        """float64[n] -> histogram. Raises BadArgument for a negative perplexity."""
        column = np.asarray(perplexities, np.float64).reshape(-1)
        column = column[~np.isnan(column)] + 0.0  # -0.0 becomes 0.0
        if len(column) and column.min() < 0:
            raise BadArgument(f"a perplexity is {column.min()}: it can't be negative")
        bins, counts = np.unique((column.view(np.uint64) >> np.uint64(DROPPED_BITS)), return_counts=True)
        return cls(bins.astype(np.int64), counts.astype(np.int64))

    @classmethod
    def sum(cls, parts: Sequence[LogHistogram]) -> LogHistogram:
        """The sum of the histograms."""
        empty = np.zeros(0, np.int64)
        bins, index = np.unique(np.concatenate([empty, *(p._bins for p in parts)]), return_inverse=True)
        counts = np.zeros(len(bins), np.int64)
        np.add.at(counts, index, np.concatenate([empty, *(p._counts for p in parts)]))
        return cls(bins, counts)

    def __add__(self, other: LogHistogram) -> LogHistogram:
        return LogHistogram.sum([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LogHistogram):
            return NotImplemented
        return np.array_equal(self._bins, other._bins) and np.array_equal(self._counts, other._counts)

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def total(self) -> int:
        """The number of documents."""
        return int(self._counts.sum())

    def bins(self) -> Integers:
        """int64[b], ascending: the numbers of the bins that contain documents."""
        return self._bins

    def counts(self) -> Integers:
        """int64[b], all above 0: the number of documents in each bin."""
        return self._counts

    def centres(self) -> Floats:
        """float64[b]: a perplexity in the middle of each bin, at most 2**-12 of it away from any other in the bin."""
        low, high = _borders(self._bins)
        return np.where(np.isinf(low), low, low + (high - low) / 2)

    def quantile(self, share: float) -> float:
        """Within 2**-11 (0.05%) of the exact quantile (with linear interpolation, numpy's default).

        A bin's documents are assumed to spread evenly over it. Raises BadArgument if there are no documents.
        """
        if not 0.0 <= share <= 1.0:
            raise BadArgument(f"the quantile is {share}: it must be from 0 to 1")
        if not len(self._bins):
            raise BadArgument("no document has a score: quantiles can't be fitted")
        position = (self.total - 1) * share
        below = math.floor(position)
        low = self._at(below)
        if position == below:
            return low
        return low + (self._at(below + 1) - low) * (position - below)

    def border(self, share: float) -> float:
        """The border between bins nearest to a quantile: within 0.1% of the exact quantile, and it splits no bin.

        Each bin lies completely below its upper border, and completely at or above its lower border.
        """
        value = self.quantile(share)
        low, high = (float(border[0]) for border in _borders(LogHistogram.of([value]).bins()))
        return low if value - low < high - value else high

    def _at(self, rank: int) -> float:
        """The approximate perplexity of the document that has `rank` others below it."""
        ends = np.cumsum(self._counts)
        index = int(np.searchsorted(ends, rank, side="right"))
        low, high = (float(border[0]) for border in _borders(self._bins[index : index + 1]))
        if math.isinf(low):
            return low
        count = int(self._counts[index])
        return low + (high - low) * ((rank - (int(ends[index]) - count) + 0.5) / count)

    def coarser(self) -> LogHistogram:
        """With 16 bins in an octave, few enough for a manifest: all documents of such a bin are in its middle."""
        middles = (self._bins >> COARSE_BITS << COARSE_BITS) + (1 << (COARSE_BITS - 1))
        bins, index = np.unique(np.minimum(middles, LARGEST_BIN), return_inverse=True)
        counts = np.zeros(len(bins), np.int64)
        np.add.at(counts, index, self._counts)
        return LogHistogram(bins, counts)

    def coarse_borders(self) -> tuple[Floats, Floats]:
        """float64[b] twice: the lowest perplexity of each bin of `coarser`, and that of the bin after it."""
        first = self._bins >> COARSE_BITS << COARSE_BITS
        return _borders(first)[0], _borders(np.minimum(first + (1 << COARSE_BITS), LARGEST_BIN))[0]

    def to_builtins(self) -> Plain:
        """For JSON."""
        return {"bin_steps": np.diff(self._bins, prepend=0).tolist(), "counts": self._counts.tolist()}

    @classmethod
    def from_builtins(cls, plain: Mapping[str, Any]) -> LogHistogram:
        """Reads what `to_builtins` returned. Raises DamagedFile if it isn't a histogram."""
        try:
            bins = np.cumsum(np.array(plain["bin_steps"], np.int64))
            counts = np.array(plain["counts"], np.int64)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedFile(f"the histogram can't be read ({error}): calibrate again") from None
        steps = np.diff(bins, prepend=-1)
        valid = bins.shape == counts.shape and (counts > 0).all() and (steps > 0).all()
        if not valid or (len(bins) and bins[-1] > LARGEST_BIN):
            raise DamagedFile("the histogram's bins must ascend, with a count above 0 each: calibrate again")
        return cls(bins, counts)


def _borders(bins: Integers) -> tuple[Floats, Floats]:
    """float64[b] twice: the lowest perplexity of each bin, and that of the next bin."""
    low = (bins.astype(np.uint64) << np.uint64(DROPPED_BITS)).view(np.float64)
    high = (np.minimum(bins + 1, LARGEST_BIN).astype(np.uint64) << np.uint64(DROPPED_BITS)).view(np.float64)
    return low, high
