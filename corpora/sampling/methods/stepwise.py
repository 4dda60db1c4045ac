"""BERTIN's stepwise: one keep probability for each quartile of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from corpora.choices import Flag
from corpora.errors import BadArgument
from corpora.sampling.bertin import BERTIN_BOUNDARIES
from corpora.sampling.curve import Curve, check_positive
from corpora.sampling.histogram import Floats, LogHistogram
from corpora.sampling.methods.base import SampleSettings, numbers_parser
from corpora.sampling.solve import check_distinct, quartiles

BERTIN_FACTOR = 1.5e5


class Stepwise(Curve, frozen=True, kw_only=True, tag="stepwise"):
    """factor / (width of the quartile's range): narrow quartiles, where documents are dense, are kept most.

    The ranges are b0, b1 - b0, b2 - b1 and 10 b2, for pp <= b0 < pp <= b1 < pp < b2 <= pp. (BERTIN's code has no
    branch for pp == b1.)
    """

    boundaries: Sequence[float]
    factor: float = BERTIN_FACTOR

    advice_if_lost = "a larger --keep keeps some"

    def __post_init__(self) -> None:
        _check_boundaries(self.boundaries)
        check_positive("factor", self.factor)

    def shape(self, perplexity: npt.ArrayLike, /) -> Floats:
        b0, b1, b2 = self.boundaries
        values = 1.0 / np.array([b0, b1 - b0, b2 - b1, 10.0 * b2])
        column = np.asarray(perplexity, np.float64)
        return values[np.searchsorted([b0, b1], column, side="left") + ~(column < b2)]


class StepwiseSettings(SampleSettings, frozen=True, kw_only=True, tag="stepwise"):
    """One probability per quartile, higher where the quartile is narrower (BERTIN)."""

    boundaries: tuple[float, float, float] | None = None
    """b0,b1,b2: finite, ascending, from above 0. None: the quartiles of the scores."""

    curve = Stepwise
    needs_amount = True
    flags = (
        Flag("--boundaries", "boundaries", "Boundaries between the four steps. [default: quartiles of the scores]",
             parse=numbers_parser(3), metavar="A,B,C"),
    )  # fmt: skip

    def unscaled(self, scores: LogHistogram) -> Stepwise:
        boundaries = check_distinct(quartiles(scores)) if self.boundaries is None else self.boundaries
        return Stepwise(boundaries=boundaries)

    def fit(self, scores: LogHistogram, keep: float | None = None) -> Curve:
        if self.boundaries is None and keep is None and self.factor is None:
            raise BadArgument(
                f"stepwise needs --keep or --factor: BERTIN's {BERTIN_FACTOR:g} fits only BERTIN's boundaries"
            )
        return super().fit(scores, keep)

    @classmethod
    def bertins(cls) -> Mapping[str, Curve]:
        return {"stepwise": Stepwise(boundaries=BERTIN_BOUNDARIES)}


def _check_boundaries(boundaries: Sequence[float]) -> None:
    """Raises BadArgument unless there are three finite, strictly ascending numbers above 0."""
    listed = ",".join(f"{b:g}" for b in boundaries)
    if len(boundaries) != 3:
        raise BadArgument(f"boundaries are {listed or 'empty'}: give three, b0,b1,b2")
    b0, b1, b2 = boundaries
    if not 0.0 < b0 < b1 < b2 < math.inf:
        raise BadArgument(f"boundaries are {listed}: they must be finite and ascend, none equal, from above 0")
