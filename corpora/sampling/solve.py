"""Kernels fitted to scores: quartile boundaries, and the factor that keeps a wanted share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.kernels import (
    BERTIN_GAUSSIAN_WIDTH,
    BERTIN_RANDOM_PROBABILITY,
    BERTIN_STEPWISE_FACTOR,
    BUCKETS,
    Buckets,
    Floats,
    Gaussian,
    Kernel,
    Stepwise,
    Uniform,
)

Method = Literal["gaussian", "stepwise", "random", "buckets"]

# CCNet's: head below the 30th percentile, middle below the 60th (cc_net/data/cutoff.csv, rows 30 and 60)
CCNET_PERCENTILES = (30.0, 60.0)

# A smaller kernel counts as none: a factor above 1e300 would overflow, and its last digits would decide alone.
SMALLEST_KERNEL = 1e-300


def solve_factor(kernel_values: npt.ArrayLike, ratio: float, documents: npt.ArrayLike | None = None) -> float:
    """The factor for which the mean of min(1, factor * kernel) is `ratio`, within 1e-6.

    Kernels float64[n], all >= 0, each standing for so many `documents` [n] (1, if not given). With the values in
    descending order, the mean is piecewise linear in the factor and bends at 1 / kernel[j], where the first j values
    are already clipped: the right piece is searched for, and its line solved.

    Raises:
        BadArgument: no values, a ratio outside (0, 1], or above the share of documents that can be kept at all.
    """
    values = np.asarray(kernel_values, np.float64)
    weights = np.ones_like(values) if documents is None else np.asarray(documents, np.float64)
    order = np.argsort(-values, kind="stable")
    values, weights = values[order], weights[order]
    _check_reachable(values, weights, ratio)
    possible = values >= SMALLEST_KERNEL
    total, values, weights = weights.sum(), values[possible], weights[possible]
    clipped = np.cumsum(weights) - weights  # sums of integers: exact
    rest = np.cumsum((values * weights)[::-1])[::-1]  # from the smallest up: sums of the values not yet clipped
    wanted = ratio * total
    piece = int(np.searchsorted(clipped + rest / values, wanted))
    # Rounding can put a ratio equal to the highest beyond the last bend.
    piece = min(piece, len(values) - 1)
    return float((wanted - clipped[piece]) / rest[piece])


def _check_reachable(values: Floats, weights: Floats, ratio: float) -> None:
    if not len(values):
        raise BadArgument("no document has a score: nothing to sample from")
    if not 0.0 < ratio <= 1.0:
        raise BadArgument(f"keep is {ratio}: it must be above 0 and at most 1")
    highest = weights[values >= SMALLEST_KERNEL].sum() / weights.sum()
    if ratio > highest:
        raise BadArgument(
            f"keep is {ratio}, but at most {math.floor(highest * 1e6) / 1e6} can be kept (the others' probability "
            "is 0 at any factor): lower --keep, raise --width or keep more buckets"
        )


def quartiles(scores: LogHistogram) -> tuple[float, float, float]:
    """(b0, median, b2) of the scored documents, within 0.1%. Raises BadArgument if there are none.

    Each is the largest number below a border between bins, so that a bin is whole on one side of `pp <= b`.
    """
    b0, median, b2 = (math.nextafter(scores.border(share), 0.0) for share in (0.25, 0.5, 0.75))
    return b0, median, b2


def expected_share(kernel: Kernel, scores: LogHistogram) -> float:
    """The share of documents that a kernel keeps, in expectation, each taken to lie in the middle of its bin."""
    kept = kernel.keep_probability(scores.centres()) * scores.counts()
    return math.fsum(kept.tolist()) / scores.total


def fit(
    method: Method,
    scores: LogHistogram,
    *,
    keep: float | None = None,
    factor: float | None = None,
    width: float | None = None,
    median: float | None = None,
    boundaries: Sequence[float] | None = None,
    percentiles: Sequence[float] | None = None,
    keep_buckets: Sequence[str] | None = None,
) -> Gaussian | Stepwise | Uniform | Buckets:
    """The kernel of a method, what is not given fitted to the scores.

    `keep`: the share of scored documents to keep, in expectation; solved for on the bins' centres. Stepwise and
    buckets with fitted borders, and random, keep it exactly. For a gaussian, a document's perplexity differs from
    its bin's centre by at most 2**-12 of it; with x = (pp - median) / median, what is kept is then `keep` x (1 +-
    2**-12 x (2 / width) x the mean of |x| (1 + x) over the kept), were all documents on the same side of their bins'
    centres: 1 +- 0.001 at width 2/9. On real scores the sides cancel: 1 +- 0.0001.
    `factor`: set by hand instead (the probability, for random). Neither: BERTIN's (1 for buckets).

    Raises:
        BadArgument: another method's option, keep and factor at once, quartiles too close, or an unreachable keep.
    """
    given = {
        "keep": keep,
        "factor": factor,
        "width": width,
        "median": median,
        "boundaries": boundaries,
        "percentiles": percentiles,
        "keep_buckets": keep_buckets,
    }
    _check_options(method, {name for name, value in given.items() if value is not None})
    kernel: Gaussian | Stepwise | Buckets
    if method == "random":
        return _fit_uniform(scores, keep, factor)
    if method == "gaussian":
        kernel = _gaussian(scores, width, median)
    elif method == "stepwise":
        kernel = _stepwise(scores, boundaries, bertins_factor=keep is None and factor is None)
    else:
        kernel = _buckets(scores, percentiles, keep_buckets)
    if keep is not None:
        factor = solve_factor(kernel.kernel(scores.centres()), keep, scores.counts())
    return kernel if factor is None else msgspec.structs.replace(kernel, factor=factor)


def _fit_uniform(scores: LogHistogram, keep: float | None, factor: float | None) -> Uniform:
    if keep is None:
        return Uniform(BERTIN_RANDOM_PROBABILITY if factor is None else factor)
    _check_reachable(np.ones(len(scores.bins())), scores.counts().astype(np.float64), keep)
    return Uniform(keep)


def _gaussian(scores: LogHistogram, width: float | None, median: float | None) -> Gaussian:
    return Gaussian(
        median=quartiles(scores)[1] if median is None else median,
        width=BERTIN_GAUSSIAN_WIDTH if width is None else width,
    )


def _stepwise(scores: LogHistogram, boundaries: Sequence[float] | None, *, bertins_factor: bool) -> Stepwise:
    if boundaries is None and bertins_factor:
        raise BadArgument(
            f"stepwise needs --keep or --factor: BERTIN's {BERTIN_STEPWISE_FACTOR:g} fits only BERTIN's boundaries"
        )
    return Stepwise(boundaries=_apart(quartiles(scores)) if boundaries is None else tuple(boundaries))


def _buckets(scores: LogHistogram, percentiles: Sequence[float] | None, kept: Sequence[str] | None) -> Buckets:
    chosen = CCNET_PERCENTILES if percentiles is None else percentiles
    cutoffs = _apart(tuple(scores.border(percentile / 100) for percentile in chosen))
    return Buckets(cutoffs=cutoffs, kept=BUCKETS if kept is None else tuple(kept))


def _apart(borders: tuple[float, ...]) -> tuple[float, ...]:
    if any(high <= low for low, high in itertools.pairwise(borders)):
        listed = ",".join(f"{b:g}" for b in borders)
        raise BadArgument(
            f"the scores' own borders {listed} can't be told apart (too few documents, or equal ones): "
            "choose --method gaussian or random"
        )
    return borders


_OPTIONS = {
    "gaussian": {"keep", "factor", "width", "median"},
    "stepwise": {"keep", "factor", "boundaries"},
    "random": {"keep", "factor"},
    "buckets": {"keep", "factor", "percentiles", "keep_buckets"},
}


def _check_options(method: str, given: set[str]) -> None:
    if method not in _OPTIONS:
        raise BadArgument(f"method is {method!r}: it must be one of {', '.join(_OPTIONS)}")
    foreign = sorted(given - _OPTIONS[method])
    if foreign:
        raise BadArgument(f"--{foreign[0].replace('_', '-')} is no option of --method {method}: leave it out")
    if {"keep", "factor"} <= given:
        raise BadArgument("--keep and --factor exclude each other: give one")
