"""CCNet's buckets (cc_net/mine.py): head, middle and tail, each kept completely or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from corpora.choices import Flag
from corpora.errors import BadArgument
from corpora.sampling.curve import Curve, check_positive
from corpora.sampling.histogram import Floats, LogHistogram
from corpora.sampling.methods.base import SampleSettings, numbers_parser
from corpora.sampling.solve import check_distinct

BUCKETS = ("head", "middle", "tail")
# head below the 30th percentile, middle below the 60th (cc_net/data/cutoff.csv, rows 30 and 60)
CCNET_PERCENTILES = (30.0, 60.0)


class Buckets(Curve, frozen=True, kw_only=True, tag="buckets"):
    """Head where pp < cutoffs[0], middle where pp < cutoffs[1], else tail; the buckets in `kept` are kept.

    pp: rounded to 0.1.

    factor: the keep probability of a document in a kept bucket.
    """

    cutoffs: Sequence[float]
    kept: Sequence[str] = BUCKETS
    factor: float = 1.0

    advice_if_flat = None

    def __post_init__(self) -> None:
        if len(self.cutoffs) != 2 or not 0.0 < self.cutoffs[0] < self.cutoffs[1] < math.inf:
            listed = ",".join(f"{c:g}" for c in self.cutoffs)
            raise BadArgument(f"cutoffs are {listed or 'empty'}: give two finite numbers, ascending, from above 0")
        unknown = [name for name in self.kept if name not in BUCKETS]
        if unknown or not self.kept:
            raise BadArgument(f"kept buckets are {','.join(self.kept) or 'none'}: choose from {','.join(BUCKETS)}")
        check_positive("factor", self.factor)

    def bucket(self, perplexity: npt.ArrayLike, /) -> npt.NDArray[np.int64]:
        """int64[n]: the index in BUCKETS (NaN: tail's). CCNet rounds perplexities to 0.1 before it compares them."""
        rounded = [round(value, 1) for value in np.asarray(perplexity, np.float64).tolist()]
        return np.searchsorted(np.asarray(self.cutoffs, np.float64), np.asarray(rounded, np.float64), side="right")

    def shape(self, perplexity: npt.ArrayLike, /) -> Floats:
        values = np.array([float(name in self.kept) for name in BUCKETS])
        return values[self.bucket(perplexity)]

    def columns(self, perplexity: npt.ArrayLike, /) -> dict[str, list[Any]]:
        return {"bucket": [BUCKETS[number] for number in self.bucket(perplexity)]}


class BucketsSettings(SampleSettings, frozen=True, kw_only=True, tag="buckets"):
    """CCNet's head, middle and tail, kept completely, with a column `bucket`."""

    percentiles: tuple[float, float] | None = None
    """Percentiles of the scores where middle and tail begin, ascending between 0 and 100. None: CCNet's 30 and 60."""
    cutoffs: tuple[float, float] | None = None
    """Perplexities where middle and tail begin, instead of percentiles, such as those of CCNet's cutoff.csv."""
    keep_buckets: tuple[str, ...] | None = None
    """The buckets to keep, of head, middle and tail. None: all."""

    curve = Buckets
    advice_if_unreachable = "lower --keep or keep more buckets"
    extra_columns: ClassVar[Mapping[str, str]] = {"bucket": "string"}
    flags = (
        Flag("--percentiles", "percentiles", "Where middle and tail begin. [default: 30,60]",
             parse=numbers_parser(2), metavar="A,B"),
        Flag("--cutoffs", "cutoffs", "Perplexities where middle and tail begin, instead of percentiles.",
             parse=numbers_parser(2), metavar="A,B"),
        Flag("--keep-buckets", "keep_buckets", "Buckets to keep. [default: head,middle,tail]",
             parse=lambda text: text.split(","), metavar="NAME,.."),
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.percentiles and self.cutoffs:
            raise ValueError("percentiles and cutoffs exclude each other: give one")
        if self.cutoffs and not 0 < self.cutoffs[0] < self.cutoffs[1] < math.inf:
            raise ValueError(f"cutoffs are {self.cutoffs}; they must be two finite numbers, ascending, from above 0")
        if self.percentiles and not 0 < self.percentiles[0] < self.percentiles[1] < 100:
            raise ValueError(f"percentiles are {self.percentiles}; they must ascend between 0 and 100")
        if self.keep_buckets is not None and not {*self.keep_buckets} <= {*BUCKETS}:
            raise ValueError(f"keep_buckets are {','.join(self.keep_buckets)}; choose from {','.join(BUCKETS)}")

    def identity(self) -> dict[str, Any]:
        """As before cutoffs could be given, but for the rounding to so many decimals, which came with them."""
        plain = {**super().identity(), "decimals": 1}
        if self.cutoffs is None:
            del plain["cutoffs"]
        return plain

    def unscaled(self, scores: LogHistogram) -> Buckets:
        if self.cutoffs:
            return Buckets(cutoffs=self.cutoffs, kept=BUCKETS if self.keep_buckets is None else self.keep_buckets)
        percentiles = CCNET_PERCENTILES if self.percentiles is None else self.percentiles
        cutoffs = check_distinct(tuple(scores.border(percentile / 100) for percentile in percentiles))
        return Buckets(cutoffs=cutoffs, kept=BUCKETS if self.keep_buckets is None else self.keep_buckets)

    @classmethod
    def recommended(cls) -> Mapping[str, SampleSettings]:
        """None: `calibrate` shows the borders of head and middle themselves."""
        return {}
