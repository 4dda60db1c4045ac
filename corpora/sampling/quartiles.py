"""The share of each perplexity quartile that is kept: shows whether a sampler filters at all."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.sampling.histogram import Floats

FLAT_BELOW = 1.5  # ratio of the highest kept share to the lowest
LOST_BELOW = 0.01  # a kept share of which a warning tells
LOST_FEWEST = 50  # in a part with at least as many documents
UNITS = 1 << 36  # probabilities as integers: sums don't depend on the order; 134 million documents fit an int64

Four = tuple[int, int, int, int]


class QuartileCounts(msgspec.Struct, frozen=True):
    """Counts by quartile, lowest perplexity first. Counts of several parts add up exactly, in any order."""

    documents: Four = (0, 0, 0, 0)
    expected: Four = (0, 0, 0, 0)  # sums of keep probabilities x 2**36, each rounded to an integer
    kept: Four = (0, 0, 0, 0)

    def __add__(self, other: QuartileCounts) -> QuartileCounts:
        sums = [
            tuple(a + b for a, b in zip(mine, others, strict=True))
            for mine, others in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        ]
        return QuartileCounts(*sums)

    @property
    def expected_share(self) -> float:
        """The mean keep probability of all documents."""
        return _share(sum(self.expected) / UNITS, sum(self.documents))

    @property
    def kept_shares(self) -> list[float]:
        """The share of each quartile's documents that was drawn; 0 where a quartile is empty."""
        return [_share(k, d) for k, d in zip(self.kept, self.documents, strict=True)]

    @property
    def expected_shares(self) -> list[float]:
        """The mean keep probability of each quartile."""
        return [_share(e / UNITS, d) for e, d in zip(self.expected, self.documents, strict=True)]

    @property
    def composition(self) -> list[float]:
        """The share of all kept documents that comes from each quartile."""
        return [_share(k, sum(self.kept)) for k in self.kept]


def quartile(perplexity: Floats, boundaries: Sequence[float]) -> npt.NDArray[np.int64]:
    """int64[n]: 0 where pp <= b0, 1 where b0 < pp <= b1, 2 where b1 < pp <= b2, else 3 (NaN: 3)."""
    return np.searchsorted(np.asarray(boundaries, np.float64), perplexity, side="left")


def count_quartiles(
    perplexities: Floats, probabilities: Floats, kept: npt.NDArray[np.bool_], boundaries: Sequence[float]
) -> QuartileCounts:
    """Counts of the scored rows among [n], n up to 134 million (NaN: rejected, not counted)."""
    rows = ~np.isnan(perplexities)
    number = quartile(perplexities[rows], boundaries)
    units = np.rint(probabilities[rows] * UNITS).astype(np.int64)
    expected = [int(units[number == n].sum()) for n in range(4)]
    documents = np.bincount(number, minlength=4).tolist()
    drawn = np.bincount(number[kept[rows]], minlength=4).tolist()
    return QuartileCounts(tuple(documents), (expected[0], expected[1], expected[2], expected[3]), tuple(drawn))


def flat_warning(counts: QuartileCounts, advice: str) -> str | None:
    """One line with the advice if the most-kept quartile is kept less than 1.5 times as often as the least-kept."""
    shares = [share for share, n in zip(counts.expected_shares, counts.documents, strict=True) if n]
    if not shares or max(shares) >= FLAT_BELOW * min(shares):
        return None
    ratio = max(shares) / min(shares)
    return (
        f"the sampler barely filters: the most-kept quartile is expected to be kept {ratio:.2f} times as often as "
        f"the least-kept one (below {FLAT_BELOW}); {advice}"
    )


def lost_quartiles(counts: QuartileCounts, advice: str) -> list[str]:
    """A line with the advice for each quartile of which next to nothing is expected to be kept."""
    names = ("the lowest perplexities", "the second quartile", "the third quartile", "the highest perplexities")
    return [
        f"of {name} ({n:,} documents), {lost_text(share)}; {advice}"
        for name, share, n in zip(names, counts.expected_shares, counts.documents, strict=True)
        if is_lost(share, n, counts.expected_share)
    ]


def is_lost(share: float, documents: int, of_all: float) -> bool:
    """Whether below 1% is kept of a part with at least 50 documents, if at least 10 times as much is kept of all."""
    return documents >= LOST_FEWEST and share < min(LOST_BELOW, of_all / 10)


def lost_text(share: float) -> str:
    return f"{100 * share:.2f}% are expected to be kept (below {100 * LOST_BELOW:g}%)"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
