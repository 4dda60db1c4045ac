"""What is fitted to scores: quartile boundaries, and the factor that keeps a wanted share."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.histogram import Floats, LogHistogram

# A smaller shape counts as zero: a factor above 1e300 would overflow, and the shape's last digits alone would decide.
SMALLEST_SHAPE = 1e-300


def solve_factor(
    shape: npt.ArrayLike, keep: float, documents: npt.ArrayLike | None = None, advice: str = "lower --keep"
) -> float:
    """The factor for which the mean of min(1, factor x shape) is `keep`, within 1e-6.

    Shapes float64[n], all >= 0, each standing for `documents` [n] (by default 1). With the values in descending
    order, the mean is piecewise linear in the factor and bends at 1 / shape[j], where the first j values are already
    clipped: the right piece is searched for, and its line solved.

    Raises:
        BadArgument: no values, keep outside (0, 1], or above the share of documents that can be kept at all; the
            message then ends in the advice.
    """
    values = np.asarray(shape, np.float64)
    weights = np.ones_like(values) if documents is None else np.asarray(documents, np.float64)
    order = np.argsort(-values, kind="stable")
    values, weights = values[order], weights[order]
    check_reachable(values, weights, keep, advice)
    possible = values >= SMALLEST_SHAPE
    total, values, weights = weights.sum(), values[possible], weights[possible]
    clipped = np.cumsum(weights) - weights  # sums of integers: exact
    rest = np.cumsum((values * weights)[::-1])[::-1]  # from the smallest up: sums of the values not yet clipped
    wanted = keep * total
    piece = int(np.searchsorted(clipped + rest / values, wanted))
    # Rounding can put a share equal to the highest beyond the last bend.
    piece = min(piece, len(values) - 1)
    return float((wanted - clipped[piece]) / rest[piece])


def check_reachable(shape: Floats, documents: Floats, keep: float, advice: str = "lower --keep") -> None:
    """Raises BadArgument unless some factor keeps this share of the documents."""
    if not len(shape):
        raise BadArgument("no document has a score: nothing to sample from")
    if not 0.0 < keep <= 1.0:
        raise BadArgument(f"keep is {keep}: it must be above 0 and at most 1")
    highest = documents[shape >= SMALLEST_SHAPE].sum() / documents.sum()
    if keep > highest:
        raise BadArgument(
            f"keep is {keep}, but at most {math.floor(highest * 1e6) / 1e6} can be kept (all other documents have "
            f"probability 0 at any factor): {advice}"
        )


def quartiles(scores: LogHistogram) -> tuple[float, float, float]:
    """(b0, median, b2) of the scored documents, within 0.1%. Raises BadArgument if there are none.

    Each is the largest number below a border between bins, so that a bin is whole on one side of `pp <= b`.
    """
    b0, median, b2 = (math.nextafter(scores.border(share), 0.0) for share in (0.25, 0.5, 0.75))
    return b0, median, b2


def check_distinct(borders: tuple[float, ...]) -> tuple[float, ...]:
    """The borders, which were read off scores. Raises BadArgument unless they ascend, none equal."""
    if any(high <= low for low, high in itertools.pairwise(borders)):
        listed = ",".join(f"{b:g}" for b in borders)
        raise BadArgument(
            f"the boundaries fitted to the scores, {listed}, are not distinct (too few documents, or equal scores): "
            "choose --method gaussian or random"
        )
    return borders
