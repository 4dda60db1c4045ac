"""The same keep probability for every scored document, as a baseline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import Floats, LogHistogram
from corpora.sampling.methods.base import SampleSettings
from corpora.sampling.solve import check_reachable

BERTIN_PROBABILITY = 0.5


class Uniform(Curve, frozen=True, tag="uniform"):
    """The same probability for every scored document."""

    probability: float = BERTIN_PROBABILITY

    advice_if_flat = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise BadArgument(f"probability is {self.probability}: it must be 0 to 1")

    @property
    def factor(self) -> float:
        return self.probability

    def scaled(self, factor: float) -> Uniform:
        return Uniform(factor)

    def shape(self, perplexity: npt.ArrayLike, /) -> Floats:
        return np.ones(np.shape(perplexity))


class RandomSettings(SampleSettings, frozen=True, kw_only=True, tag="random"):
    """The same probability for all (--factor, or --keep)."""

    curve = Uniform
    needs_amount = True

    def unscaled(self, scores: LogHistogram) -> Uniform:  # noqa: ARG002
        return Uniform()

    def fit(self, scores: LogHistogram, keep: float | None = None) -> Curve:
        if keep is None:
            return super().fit(scores)
        check_reachable(np.ones(len(scores.bins())), scores.counts().astype(np.float64), keep)
        return Uniform(keep)  # exact, unlike a factor that is solved for

    @classmethod
    def bertins(cls) -> Mapping[str, Curve]:
        return {"random": Uniform()}
