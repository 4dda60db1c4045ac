"""Perplexity to keep probability, with BERTIN's constants (arXiv:2207.06814; bertin/mc4/mc4.py).

A keep probability is min(1, factor x kernel). A NaN perplexity (a rejected row) is never kept. `Buckets` is CCNet's
(cc_net/mine.py): whole buckets of documents, head, middle and tail.

**BERTIN's published gaussian hardly sieves**: at width 9/2 the kept shares by quartile are .258 / .264 / .262 / .216;
at 2/9 (its earlier commit's exp(-9/2 x**2)) they are .246 / .370 / .326 / .058.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument, DamagedFile

Floats = npt.NDArray[np.float64]

BERTIN_GAUSSIAN_FACTOR = 0.78
BERTIN_GAUSSIAN_WIDTH = 4.5
BERTIN_EARLY_WIDTH = 2 / 9  # commit 60b6f6bc of bertin-roberta-base-spanish: exp(-9/2 x**2)
BERTIN_STEPWISE_FACTOR = 1.5e5
BERTIN_RANDOM_PROBABILITY = 0.5
# BERTIN's quartiles of mC4-es, scored with raw words: no other model's perplexities compare to them.
BERTIN_BOUNDARIES = (536394.99320948, 662247.50212365, 919250.87225178)
BERTIN_KEEP = 0.125  # 50 of 416 million documents, "one eighth" (bertin/README.md)
BUCKETS = ("head", "middle", "tail")


class Kernel(Protocol):
    """A sampling method, its parameters set."""

    def kernel(self, perplexity: npt.ArrayLike, /) -> Floats:
        """float64[n]: the keep probability over the factor, before clipping; 0 where NaN."""

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        """float64[n] -> float64[n] in [0, 1]; 0 where NaN."""


class Gaussian(msgspec.Struct, frozen=True, kw_only=True):
    """factor x exp(-((pp - median) / median)**2 / width): the middle of the distribution is kept most."""

    median: float
    factor: float = BERTIN_GAUSSIAN_FACTOR
    width: float = BERTIN_GAUSSIAN_WIDTH

    def __post_init__(self) -> None:
        _check_positive("median", self.median)
        _check_positive("factor", self.factor)
        _check_positive("width", self.width)

    def kernel(self, perplexity: npt.ArrayLike, /) -> Floats:
        with np.errstate(over="ignore"):
            distance = (_column(perplexity) - self.median) / self.median
            exponent = (-1.0 / self.width) * (distance * distance)
        # libm's exp: numpy's differs in the last bit, by CPU.
        return np.array([0.0 if e != e else math.exp(e) for e in exponent.tolist()], np.float64)

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        return _clip(self.factor, self.kernel(perplexity))


class Stepwise(msgspec.Struct, frozen=True, kw_only=True):
    """factor / (width of the quartile's range): narrow quartiles, where documents crowd, are kept most.

    The ranges are b0, b1 - b0, b2 - b1 and 10 b2, for pp <= b0 < pp <= b1 < pp <= b2 < pp. (BERTIN's code has no
    branch for pp == b1.)
    """

    boundaries: Sequence[float]
    factor: float = BERTIN_STEPWISE_FACTOR

    def __post_init__(self) -> None:
        check_boundaries(self.boundaries)
        _check_positive("factor", self.factor)

    def kernel(self, perplexity: npt.ArrayLike, /) -> Floats:
        b0, b1, b2 = self.boundaries
        column = _column(perplexity)
        values = 1.0 / np.array([b0, b1 - b0, b2 - b1, 10.0 * b2])
        return np.where(np.isnan(column), 0.0, values[quartile(column, self.boundaries)])

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        return _clip(self.factor, self.kernel(perplexity))


class Uniform(msgspec.Struct, frozen=True):
    """The same probability for every scored document."""

    probability: float = BERTIN_RANDOM_PROBABILITY

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise BadArgument(f"probability is {self.probability}: it must be 0 to 1")

    def kernel(self, perplexity: npt.ArrayLike, /) -> Floats:
        return np.where(np.isnan(_column(perplexity)), 0.0, 1.0)

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        return self.probability * self.kernel(perplexity)


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """CCNet's buckets: head where pp < cutoffs[0], middle where pp < cutoffs[1], else tail; `kept` ones are kept.

    factor: the keep probability of a document in a kept bucket.
    """

    cutoffs: Sequence[float]
    kept: Sequence[str] = BUCKETS
    factor: float = 1.0

    def __post_init__(self) -> None:
        if len(self.cutoffs) != 2 or not 0.0 < self.cutoffs[0] < self.cutoffs[1] < math.inf:
            listed = ",".join(f"{c:g}" for c in self.cutoffs)
            raise BadArgument(f"cutoffs are {listed or 'empty'}: give two finite numbers, ascending, from above 0")
        unknown = [name for name in self.kept if name not in BUCKETS]
        if unknown or not self.kept:
            raise BadArgument(f"kept buckets are {','.join(self.kept) or 'none'}: choose of {','.join(BUCKETS)}")
        _check_positive("factor", self.factor)

    def place(self, perplexity: npt.ArrayLike, /) -> npt.NDArray[np.int64]:
        """int64[n]: the index in BUCKETS (NaN: tail's)."""
        return np.searchsorted(np.asarray(self.cutoffs, np.float64), _column(perplexity), side="right")

    def kernel(self, perplexity: npt.ArrayLike, /) -> Floats:
        values = np.array([float(name in self.kept) for name in BUCKETS])
        return np.where(np.isnan(_column(perplexity)), 0.0, values[self.place(perplexity)])

    def keep_probability(self, perplexity: npt.ArrayLike, /) -> Floats:
        return _clip(self.factor, self.kernel(perplexity))


_KINDS: dict[str, type[Gaussian] | type[Stepwise] | type[Uniform] | type[Buckets]] = {
    "gaussian": Gaussian,
    "stepwise": Stepwise,
    "uniform": Uniform,
    "buckets": Buckets,
}


def kernel_to_builtins(kernel: Gaussian | Stepwise | Uniform | Buckets) -> dict[str, Any]:
    """For JSON: the name and the parameters."""
    return {"name": type(kernel).__name__.lower(), **msgspec.to_builtins(kernel)}


def kernel_from_builtins(values: Mapping[str, Any]) -> Gaussian | Stepwise | Uniform | Buckets:
    """What `kernel_to_builtins` gave. Raises DamagedFile where it names no kernel or not its parameters."""
    kind = _KINDS.get(values.get("name", ""))
    if kind is None:
        raise DamagedFile(f"the kernel {values.get('name')!r} is unknown; known: {', '.join(_KINDS)}")
    try:
        return kind(**{name: value for name, value in values.items() if name != "name"})
    except (TypeError, BadArgument) as error:
        raise DamagedFile(f"the kernel {values['name']} can't be read: {error}") from None


def quartile(perplexity: Floats, boundaries: Sequence[float]) -> npt.NDArray[np.int64]:
    """int64[n]: 0 where pp <= b0, 1 where b0 < pp <= b1, 2 where b1 < pp <= b2, else 3 (NaN: 3)."""
    return np.searchsorted(np.asarray(boundaries, np.float64), perplexity, side="left")


def check_boundaries(boundaries: Sequence[float]) -> None:
    """Raises BadArgument unless there are three finite numbers, ascending from above 0, none equal."""
    listed = ",".join(f"{b:g}" for b in boundaries)
    if len(boundaries) != 3:
        raise BadArgument(f"boundaries are {listed or 'empty'}: give three, b0,b1,b2")
    b0, b1, b2 = boundaries
    if not 0.0 < b0 < b1 < b2 < math.inf:
        raise BadArgument(f"boundaries are {listed}: they must be finite and ascend, none equal, from above 0")


def _check_positive(name: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise BadArgument(f"{name} is {value}: it must be a finite number above 0")


def _column(perplexity: npt.ArrayLike) -> Floats:
    return np.asarray(perplexity, np.float64)


def _clip(factor: float, kernel: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.minimum(1.0, factor * kernel)
