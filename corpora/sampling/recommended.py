"""Samplers fitted to scores, and how often each accepts a document: the recommendations of `calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpora.errors import BadArgument
from corpora.sampling.bertin import BERTIN_BOUNDARIES
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import METHODS
from corpora.sampling.solve import quartiles

POINTS = ("b0", "median", "b2", "2 medians", "4 medians")


@dataclass(frozen=True)
class Recommendation:
    """A fitted sampler, and its factor x shape at POINTS; above 1, every document is kept."""

    curve: Curve
    at_points: list[float]


def recommend(scores: LogHistogram, keep: float) -> dict[str, Recommendation | str]:
    """By label, each method's samplers fitted to keep a share; or, if one can't be fitted, the reason."""
    boundaries = quartiles(scores)
    recommended: dict[str, Recommendation | str] = {}
    for method in METHODS:
        for label, settings in method.recommended().items():
            try:
                curve = settings.fit(scores, keep)
            except BadArgument as error:
                recommended[label] = str(error)
            else:
                recommended[label] = Recommendation(curve, _at_points(curve, boundaries))
    return recommended


def bertins() -> dict[str, Recommendation]:
    """By label, BERTIN's own parameters at BERTIN's own quartiles of mC4-es."""
    curves = {label: curve for method in METHODS for label, curve in method.bertins().items()}
    return {label: Recommendation(c, _at_points(c, BERTIN_BOUNDARIES)) for label, c in curves.items()}


def _at_points(curve: Curve, boundaries: Sequence[float]) -> list[float]:
    """factor x shape at b0, median, b2, 2 medians and 4 medians."""
    b0, median, b2 = boundaries
    values: list[float] = curve.unclipped(np.array([b0, median, b2, 2 * median, 4 * median])).tolist()
    return values
