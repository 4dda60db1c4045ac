"""Fits to scores: quartile boundaries, and the factor that keeps a given share."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.histogram import Floats, LogHistogram

# A smaller shape counts as zero: its factor could overflow (above 1e300), and only its last digits would decide.
SMALLEST_SHAPE = 1e-300


def solve_factor(
    shape: npt.ArrayLike, keep: float, documents: npt.ArrayLike | None = None, advice: str = "lower --keep"
) -> float:
    """The factor for which the mean of min(1, factor x shape) is `keep`, within 1e-6.

    Shapes float64[n], all >= 0, each standing for `documents` [n] (by default 1). With the values in descending
    order, the mean is piecewise linear in the factor, with a bend at each 1 / shape[j], where the first j values are
    already clipped. A search finds the right piece, and its linear equation is solved.

    Raises:
        BadArgument: no values, keep outside (0, 1], or keep above the largest share that any factor reaches; the
            message then ends with the advice.
    """
    values = np.asarray(shape, np.float64)
    weights = np.ones_like(values) if documents is None else np.asarray(documents, np.float64)
    order = np.argsort(-values, kind="stable")
    values, weights = values[order], weights[order]
    check_reachable(values, weights, keep, advice)
    possible = values >= SMALLEST_SHAPE
    total, values, weights = weights.sum(), values[possible], weights[possible]
    clipped = np.cumsum(weights) - weights  # sums of integers: exact
    rest = np.cumsum((values * weights)[::-1])[::-1]  # summed from the smallest value: the values not yet clipped
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

    Each is the largest number below a border between bins, so that `pp <= b` splits no bin.
    """
    b0, median, b2 = (math.nextafter(scores.border(share), 0.0) for share in (0.25, 0.5, 0.75))
    return b0, median, b2


def check_distinct(borders: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the borders, which were fitted to scores. Raises BadArgument unless they strictly ascend."""
    if any(high <= low for low, high in itertools.pairwise(borders)):
        listed = ",".join(f"{b:g}" for b in borders)
        raise BadArgument(
            f"the boundaries fitted to the scores, {listed}, are not distinct (too few documents, or equal scores): "
            "choose --method gaussian or random"
        )
    return borders
