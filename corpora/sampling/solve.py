"""Kernels fitted to scores: quartile boundaries, and the factor that keeps a wanted share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.kernels import (
    BERTIN_GAUSSIAN_FACTOR,
    BERTIN_GAUSSIAN_WIDTH,
    BERTIN_RANDOM_PROBABILITY,
    BERTIN_STEPWISE_FACTOR,
    Floats,
    Gaussian,
    Stepwise,
    Uniform,
)

Method = Literal["gaussian", "stepwise", "random"]

# A smaller kernel counts as none: a factor above 1e300 would overflow, and its last digits would decide alone.
SMALLEST_KERNEL = 1e-300


def solve_factor(kernel_values: npt.ArrayLike, ratio: float) -> float:
    """The factor for which mean(min(1, factor * kernel)) is `ratio`, within 1e-6. Kernels float64[n], all >= 0.

    With the values in descending order, the mean is piecewise linear in the factor and bends at 1 / kernel[j], where
    the first j values are already clipped: the right piece is searched for, and its line solved.

    Raises:
        BadArgument: no values, a ratio outside (0, 1], or above the share of documents that can be kept at all.
    """
    values = np.sort(np.asarray(kernel_values, np.float64))[::-1]
    _check_reachable(values, ratio)
    possible = values[values >= SMALLEST_KERNEL]
    clipped = np.arange(len(possible))
    rest = np.cumsum(possible[::-1])[::-1]  # from the smallest up: sums of the values not yet clipped
    wanted = ratio * len(values)
    piece = int(np.searchsorted(clipped + rest / possible, wanted))
    # Rounding can put a ratio equal to the highest beyond the last bend.
    piece = min(piece, len(possible) - 1)
    return float((wanted - piece) / rest[piece])


def _check_reachable(values: Floats, ratio: float) -> None:
    if not len(values):
        raise BadArgument("no document has a score: nothing to sample from")
    if not 0.0 < ratio <= 1.0:
        raise BadArgument(f"keep is {ratio}: it must be above 0 and at most 1")
    highest = np.count_nonzero(values >= SMALLEST_KERNEL) / len(values)
    if ratio > highest:
        raise BadArgument(
            f"keep is {ratio}, but at most {math.floor(highest * 1e6) / 1e6} can be kept (the others' probability "
            "is 0 at any factor): lower --keep or raise --width"
        )


def quantile(ascending: Floats, share: float) -> float:
    """The exact quantile of sorted values [n], n >= 1, linear between neighbours (numpy's and R's default)."""
    position = (len(ascending) - 1) * share
    below = math.floor(position)
    low = float(ascending[below])
    high = float(ascending[min(below + 1, len(ascending) - 1)])
    return low + (high - low) * (position - below)


def quartiles(perplexities: npt.ArrayLike) -> tuple[float, float, float]:
    """(b0, median, b2) of the scored rows; NaN (rejected rows) left out. Raises BadArgument if there are none."""
    ascending = np.sort(scored(perplexities))
    if not len(ascending):
        raise BadArgument("no document has a score: quartiles can't be fitted")
    return quantile(ascending, 0.25), quantile(ascending, 0.5), quantile(ascending, 0.75)


def scored(perplexities: npt.ArrayLike) -> Floats:
    """Without NaN."""
    column = np.asarray(perplexities, np.float64)
    return column[~np.isnan(column)]


def fit(
    method: Method,
    perplexities: npt.ArrayLike,
    *,
    keep: float | None = None,
    factor: float | None = None,
    width: float | None = None,
    median: float | None = None,
    boundaries: Sequence[float] | None = None,
) -> Gaussian | Stepwise | Uniform:
    """The kernel of a method, what is not given fitted to the scores (float64[n], NaN where rejected).

    `keep`: the share of scored rows to keep, in expectation; solved for. `factor`: set by hand instead (the
    probability, for random). Neither: BERTIN's.

    Raises:
        BadArgument: an option of another method, keep and factor at once, equal quartiles, or an unreachable keep.
    """
    _check_options(method, keep=keep, factor=factor, width=width, median=median, boundaries=boundaries)
    scores = scored(perplexities)
    if method == "random":
        return _fit_uniform(scores, keep, factor)
    if method == "gaussian":
        return _fit_gaussian(scores, keep, factor, width, median)
    return _fit_stepwise(scores, keep, factor, boundaries)


def _fit_uniform(scores: Floats, keep: float | None, factor: float | None) -> Uniform:
    if keep is not None:
        _check_reachable(np.ones_like(scores), keep)
        return Uniform(keep)
    return Uniform(BERTIN_RANDOM_PROBABILITY if factor is None else factor)


def _fit_gaussian(
    scores: Floats, keep: float | None, factor: float | None, width: float | None, median: float | None
) -> Gaussian:
    kernel = Gaussian(
        median=quartiles(scores)[1] if median is None else median,
        factor=BERTIN_GAUSSIAN_FACTOR if factor is None else factor,
        width=BERTIN_GAUSSIAN_WIDTH if width is None else width,
    )
    if keep is None:
        return kernel
    solved = solve_factor(kernel.kernel(scores), keep)
    return Gaussian(median=kernel.median, factor=solved, width=kernel.width)


def _fit_stepwise(
    scores: Floats, keep: float | None, factor: float | None, boundaries: Sequence[float] | None
) -> Stepwise:
    if keep is None and factor is None and boundaries is None:
        raise BadArgument(
            f"stepwise needs --keep or --factor: BERTIN's {BERTIN_STEPWISE_FACTOR:g} fits only BERTIN's boundaries"
        )
    kernel = Stepwise(
        boundaries=tuple(quartiles(scores) if boundaries is None else boundaries),
        factor=BERTIN_STEPWISE_FACTOR if factor is None else factor,
    )
    if keep is None:
        return kernel
    return Stepwise(boundaries=kernel.boundaries, factor=solve_factor(kernel.kernel(scores), keep))


_OPTIONS = {
    "gaussian": {"keep", "factor", "width", "median"},
    "stepwise": {"keep", "factor", "boundaries"},
    "random": {"keep", "factor"},
}


def _check_options(method: str, **options: object) -> None:
    if method not in _OPTIONS:
        raise BadArgument(f"method is {method!r}: it must be gaussian, stepwise or random")
    given = {name for name, value in options.items() if value is not None}
    foreign = sorted(given - _OPTIONS[method])
    if foreign:
        raise BadArgument(f"--{foreign[0]} is no option of --method {method}: leave it out")
    if {"keep", "factor"} <= given:
        raise BadArgument("--keep and --factor exclude each other: give one")
