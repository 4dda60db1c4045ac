"""A keep-probability curve: the result of fitting any sampling method."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.sampling.histogram import Floats, LogHistogram


class Curve(msgspec.Struct, frozen=True, tag_field="name"):
    """Perplexity -> keep probability, min(1, factor x shape). A NaN perplexity (a rejected row) is never kept.

    A subclass has a tag (its name in manifests), its parameters as fields (including `factor`), and a `shape`.
    """

    advice_if_flat: ClassVar[str | None] = "a smaller --keep filters more"
    """How to end the warning that every quartile is kept about equally; None: no warning for such a curve."""

    advice_if_lost: ClassVar[str | None] = None
    """How to end the warning that next to nothing of a quartile or a source is kept; None: no warning, because the
    curve is there to leave documents out."""

    @property
    def factor(self) -> float:
        """Scales the shape. A field of nearly every curve."""
        return 1.0

    def shape(self, perplexity: npt.ArrayLike, /) -> Floats:
        """float64[n] -> float64[n], none negative: the keep probability before scaling and clipping. For NaN: any."""
        raise NotImplementedError(f"{type(self).__name__} has no shape")

    def scaled(self, factor: float) -> Self:
        """The same curve with another factor. Raises BadArgument for an invalid factor."""
        return msgspec.structs.replace(self, factor=factor)

    def columns(self, perplexity: npt.ArrayLike, /) -> dict[str, list[Any]]:  # noqa: ARG002
        """The method's `extra_columns` in a sample, by name: a value for each of n scored rows."""
        return {}

    def unclipped(self, perplexity: npt.ArrayLike, /) -> Floats:
        """float64[n]: factor x shape, above 1 where clipping applies; 0 for NaN."""
        column = np.asarray(perplexity, np.float64)
        with np.errstate(over="ignore"):
            return np.where(np.isnan(column), 0.0, self.factor * self.shape(column))

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        """float64[n] -> float64[n] in [0, 1]; 0 where NaN."""
        return np.minimum(1.0, self.unclipped(perplexity))

    def expected_share(self, scores: LogHistogram) -> float:
        """The expected share of documents kept, treating each as if it were in the middle of its bin."""
        kept = self.keep_probability(scores.centres()) * scores.counts()
        return math.fsum(kept.tolist()) / scores.total

    def to_builtins(self) -> dict[str, Any]:
        """For JSON: the name and the parameters. `methods.read_curve` reads it back."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def check_positive(name: str, value: float) -> None:
    """Raises BadArgument unless the value is finite and above 0."""
    if not 0.0 < value < math.inf:
        raise BadArgument(f"{name} is {value}: it must be a finite number above 0")
