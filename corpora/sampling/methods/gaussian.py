"""BERTIN's gaussian: the middle of the distribution is kept most.

**BERTIN's published width barely filters**: at 9/2 the quartiles make up .258 / .264 / .262 / .216 of the sample, and
.761 / .778 / .773 / .636 of each is kept; at 2/9 (its earlier commit's exp(-9/2 x**2)) .246 / .370 / .326 / .058, and
.492 / .740 / .653 / .115. The distribution that these figures were computed from isn't published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.choices import Flag
from corpora.sampling.bertin import BERTIN_BOUNDARIES
from corpora.sampling.curve import Curve, check_positive
from corpora.sampling.histogram import Floats, LogHistogram
from corpora.sampling.methods.base import SampleSettings
from corpora.sampling.solve import quartiles

BERTIN_FACTOR = 0.78
DEFAULT_WIDTH = "bertin-early"  # the published one barely filters
# "bertin": as published. "bertin-early": commit 60b6f6bc of bertin-roberta-base-spanish, exp(-9/2 x**2)
WIDTHS = {"bertin": 4.5, "bertin-early": 2 / 9}


class Gaussian(Curve, frozen=True, kw_only=True, tag="gaussian"):
    """factor x exp(-((pp - median) / median)**2 / width)."""

    median: float
    factor: float = BERTIN_FACTOR
    width: float = WIDTHS["bertin"]

    advice_if_flat = "a smaller --width or --keep filters more"
    advice_if_lost = "a larger --width or --keep keeps some"

    def __post_init__(self) -> None:
        check_positive("median", self.median)
        check_positive("factor", self.factor)
        check_positive("width", self.width)

    def shape(self, perplexity: npt.ArrayLike, /) -> Floats:
        with np.errstate(over="ignore"):
            distance = (np.asarray(perplexity, np.float64) - self.median) / self.median
            exponent = (-1.0 / self.width) * (distance * distance)
        # libm's exp: numpy's differs in the last bit on some CPUs.
        return np.array([math.exp(e) for e in exponent.tolist()], np.float64)


def _width(text: str) -> float | str:
    """A number, or else the text, which may be a name."""
    try:
        return float(text)
    except ValueError:
        return text


class GaussianSettings(SampleSettings, frozen=True, kw_only=True, tag="gaussian"):
    """A bell curve over perplexity that keeps the middle most (BERTIN).

    A document's perplexity differs from its bin's centre by at most 2**-12 of it. With x = (pp - median) / median,
    the share kept would be `keep` x (1 +- 2**-12 x (2 / width) x the mean of |x| (1 + x) over the kept documents) if
    all documents were on the same side of their bins' centres: 1 +- 0.001 at width 2/9. On real scores the sides
    cancel out: 1 +- 0.0001.
    """

    width: float | str | None = None
    """Above 0, or "bertin" (9/2, as published) or "bertin-early" (2/9, an earlier commit's, which filters). None:
    "bertin-early"."""
    median: float | None = None
    """The centre, above 0. None: the median of the scores."""

    curve = Gaussian
    needs_amount = True
    advice_if_unreachable = "lower --keep or raise --width"
    flags = (
        Flag("--width", "width", "bertin (4.5, as published, which barely filters), bertin-early (2/9, as in an "
             "earlier commit) or a number. [default: bertin-early]", parse=_width, metavar="W"),
        Flag("--median", "median", "Centre of the bell. [default: fitted to the scores]", float, metavar="M"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        width = DEFAULT_WIDTH if self.width is None else self.width
        if isinstance(width, str):
            if width not in WIDTHS:
                raise ValueError(f"width is {width!r}; it must be {', '.join(WIDTHS)} or a number")
            msgspec.structs.force_setattr(self, "width", WIDTHS[width])  # one fingerprint for all spellings
        self._check_positive("width", "median")

    def unscaled(self, scores: LogHistogram) -> Gaussian:
        return Gaussian(
            median=quartiles(scores)[1] if self.median is None else self.median,
            width=float(self.width or WIDTHS[DEFAULT_WIDTH]),
        )

    @classmethod
    def recommended(cls) -> Mapping[str, SampleSettings]:
        return {f"gaussian {name}": cls(width=width) for name, width in WIDTHS.items()}

    @classmethod
    def bertins(cls) -> Mapping[str, Curve]:
        median = BERTIN_BOUNDARIES[1]
        return {f"gaussian {name}": Gaussian(median=median, width=width) for name, width in WIDTHS.items()}
