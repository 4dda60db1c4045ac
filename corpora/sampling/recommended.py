"""Samplers fitted to a population's scores, and how often each accepts a document: what `calibrate` recommends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpora.errors import BadArgument
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.kernels import (
    BERTIN_BOUNDARIES,
    BERTIN_EARLY_WIDTH,
    BERTIN_GAUSSIAN_WIDTH,
    Gaussian,
    Stepwise,
    Uniform,
)
from corpora.sampling.solve import Method, fit, quartiles

POINTS = ("b0", "median", "b2", "2 medians", "4 medians")

# label -> method and width; the labels of widths are those that --width takes
SAMPLERS: dict[str, tuple[Method, float | None]] = {
    "gaussian bertin": ("gaussian", BERTIN_GAUSSIAN_WIDTH),
    "gaussian bertin-early": ("gaussian", BERTIN_EARLY_WIDTH),
    "stepwise": ("stepwise", None),
    "random": ("random", None),
}

Sampler = Gaussian | Stepwise | Uniform


@dataclass(frozen=True)
class Recommendation:
    """A sampler, and what it makes of documents at POINTS: factor x kernel, of which at most 1 is the probability."""

    kernel: Sampler
    at_points: list[float]


def recommend(scores: LogHistogram, keep: float) -> dict[str, Recommendation | str]:
    """By label, each sampler fitted to keep a share; or, where it can't be, the reason."""
    boundaries = quartiles(scores)
    found: dict[str, Recommendation | str] = {}
    for label, (method, width) in SAMPLERS.items():
        try:
            kernel = fit(method, scores, keep=keep, width=width)
        except BadArgument as error:
            found[label] = str(error)
            continue
        assert isinstance(kernel, Gaussian | Stepwise | Uniform)
        found[label] = Recommendation(kernel, at_points(kernel, boundaries))
    return found


def bertins() -> dict[str, Recommendation]:
    """By label, BERTIN's own parameters at BERTIN's own quartiles of mC4-es."""
    kernels: dict[str, Sampler] = {
        "gaussian bertin": Gaussian(median=BERTIN_BOUNDARIES[1]),
        "gaussian bertin-early": Gaussian(median=BERTIN_BOUNDARIES[1], width=BERTIN_EARLY_WIDTH),
        "stepwise": Stepwise(boundaries=BERTIN_BOUNDARIES),
        "random": Uniform(),
    }
    return {label: Recommendation(k, at_points(k, BERTIN_BOUNDARIES)) for label, k in kernels.items()}


def at_points(kernel: Sampler, boundaries: Sequence[float]) -> list[float]:
    """factor x kernel at b0, median, b2, 2 medians and 4 medians; above 1, where everything is kept."""
    b0, median, b2 = boundaries
    points = np.array([b0, median, b2, 2 * median, 4 * median])
    factor = kernel.probability if isinstance(kernel, Uniform) else kernel.factor
    values: list[float] = (factor * kernel.kernel(points)).tolist()
    return values
