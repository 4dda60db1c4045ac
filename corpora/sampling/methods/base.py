"""What all sampling methods share: how much of each group to keep, the seed, the format, the solved factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from corpora.choices import Flag, name_of
from corpora.config import Config
from corpora.documents.groups import Per, check_source_by
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.solve import solve_factor

Group = str
Format = Literal["parquet", "jsonl.gz", "jsonl.zst"]
REST = "*"  # in keep and keep_documents: all groups that aren't named

# Fingerprints contain these keys whatever the method: one class used to have them all, and its folders stay finished.
_NEUTRAL = dict.fromkeys(
    ("method", "per", "keep", "keep_documents", "factor", "width", "median", "boundaries", "percentiles",
     "keep_buckets", "seed", "format")
)  # fmt: skip

# The sample adds these to its fingerprint where they matter.
_OUTSIDE = frozenset({"columns", "source_by", "part_bytes"})


class SampleSettings(Config, frozen=True, kw_only=True, tag_field="method"):
    """Which documents are kept. A subclass is a method: it has a tag, a `curve` type, `unscaled`, and its own fields.

    If a field is None, the method's default applies, or the value is fitted to the scores.
    """

    source_by: str = "file"
    """What a document's source is where the kept share of each is shown: "file" (the input's name up to its shard
    number), "host" (of its url), "path" (host and first folder of its url) or "column:NAME"."""
    per: Per = "language"
    """The groups to fit separately. Perplexities of different languages (and models) aren't comparable, so each
    language is a group; "source" and "language,source" split by the input's name up to its shard number; "all"
    doesn't."""
    keep: float | dict[Group, float] | None = None
    """Share of the scored documents to keep, in (0, 1], in each group; or a share by group, "*" for the others."""
    keep_documents: int | dict[Group, int] | None = None
    """Number of documents to keep, at least 1; or a number by group, "*" for all others together."""
    factor: float | None = None
    """The curve's factor, set by hand instead of `keep`; above 0."""
    seed: int = 0
    """Seed of the draw."""
    format: Format = "parquet"
    """Format of the files written."""
    columns: str | tuple[str, ...] | None = None
    """The inputs' other columns that the sample carries over: "all", "none", or names. None: all that the schema of a
    Parquet or CSV file and the first rows of a source of JSON lines show."""

    part_bytes: int | None = None
    """The parts of all work items are joined, in order, into files of at most so many bytes, as stored; an item with
    more stays one file, and named sources never share one. None: one file per work item."""

    flags: ClassVar[tuple[Flag, ...]] = ()
    """Command-line flags of the method's own fields."""
    curve: ClassVar[type[Curve]]
    """The type that `fit` returns; manifests name it by its tag."""
    needs_amount: ClassVar[bool] = False
    """Whether `keep`, `keep_documents` or `factor` must be given, because no default suits all scores."""
    extra_columns: ClassVar[Mapping[str, str]] = {}
    """Name -> type (pyarrow's name: string, float64, int32, bool) of the columns that `Curve.columns` adds."""

    advice_if_unreachable: ClassVar[str] = "lower --keep"
    """How to end the error that no factor keeps the given share."""

    def __post_init__(self) -> None:
        self._check_amount()
        self._check_positive("factor")
        check_source_by(self.source_by)
        if self.source_by != "file" and "source" in self.per:
            raise ValueError(f"source_by is {self.source_by}, but per {self.per} fits sources by file: leave one out")
        if self.columns in ("", (), ("",)):
            raise ValueError('columns is empty; it must be "all", "none" or names of columns')
        if self.part_bytes is not None and self.part_bytes < 1:
            raise ValueError(f"part_bytes is {self.part_bytes}; it must be at least 1, such as 268435456 (256 MiB)")

    @property
    def amount_is_missing(self) -> bool:
        """Whether the method needs an amount, and none is given."""
        return self.needs_amount and self.factor is None and not (self.shares or self.numbers)

    @property
    def method(self) -> str:
        """The tag."""
        return name_of(self)

    def unscaled(self, scores: LogHistogram) -> Curve:
        """The curve with a default factor. Other parameters that aren't given are fitted to the scores.

        Raises BadArgument if it can't be fitted to these scores.
        """
        raise NotImplementedError(f"{type(self).__name__} can't be fitted to scores")

    def fit(self, scores: LogHistogram, keep: float | None = None) -> Curve:
        """The curve of one group; keep: the expected share of its documents to keep, instead of `factor`.

        The factor is solved for on the bins' centres. Curves that are constant on each bin keep the share exactly.
        Raises BadArgument if the method can't be fitted to these scores, or the share is unreachable.
        """
        curve = self.unscaled(scores)
        if keep is not None:
            shape, documents = curve.shape(scores.centres()), scores.counts()
            return curve.scaled(solve_factor(shape, keep, documents, self.advice_if_unreachable))
        return curve if self.factor is None else curve.scaled(self.factor)

    @classmethod
    def recommended(cls) -> Mapping[str, SampleSettings]:
        """What `calibrate` fits and shows, by label: the method's defaults, if it has one for every field."""
        required = any(field.required for field in msgspec.structs.fields(cls))
        return {} if required else {name_of(cls): cls()}

    @classmethod
    def bertins(cls) -> Mapping[str, Curve]:
        """BERTIN's own parameters at BERTIN's own quartiles, by label, if BERTIN used the method."""
        return {}

    def identity(self) -> dict[str, Any]:
        """The settings as fingerprints contain them."""
        return {**_NEUTRAL, **{name: value for name, value in self.asdict().items() if name not in _OUTSIDE}}

    @property
    def shares(self) -> dict[Group, float]:
        """`keep` by group."""
        return self.keep if isinstance(self.keep, dict) else {} if self.keep is None else {REST: self.keep}

    @property
    def numbers(self) -> dict[Group, int]:
        """`keep_documents` by group."""
        given = self.keep_documents
        return given if isinstance(given, dict) else {} if given is None else {REST: given}

    def _check_amount(self) -> None:
        for name in ("keep", "keep_documents"):
            if getattr(self, name) == {}:
                raise ValueError(f"{name} is empty: name a group, or leave it out")
        if self.factor is not None and (self.shares or self.numbers):
            raise ValueError(f"{'keep' if self.shares else 'keep_documents'} and factor exclude each other: give one")
        both = sorted(self.shares.keys() & self.numbers.keys())
        if both:
            group = "" if both[0] == REST else f" of {both[0]}"
            raise ValueError(f"keep and keep_documents{group} exclude each other: give one")
        for group, share in self.shares.items():
            if not 0 < share <= 1:
                raise ValueError(f"keep is {_of(group, share)}; it must be above 0 and at most 1")
        for group, number in self.numbers.items():
            if number < 1:
                raise ValueError(f"keep_documents is {_of(group, number)}; it must be at least 1")

    def _check_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; it must be above 0 and finite")


def numbers_parser(count: int) -> Any:
    """The parser of a flag with `count` numbers, A,B or A,B,C."""

    def parse(text: str) -> list[float]:
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != count:
            raise ValueError(f"it must be {('two', 'three')[count - 2]} numbers, {','.join('ABC'[:count])}")
        return values

    return parse


def _of(group: Group, value: float) -> str:
    return f"{value}" if group == REST else f"{group}={value}"
