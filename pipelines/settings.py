"""Settings of the Beam stages. Imports neither Beam nor torch, so that recipes can name them."""

from __future__ import annotations

from typing import Literal

import msgspec

from corpora.config import Config

MEBIBYTE = 1 << 20


class RunnerSettings(Config, frozen=True, kw_only=True):
    """Where a pipeline runs. None of it changes a byte of the output."""

    runner: str = "FnApiRunner"
    """FnApiRunner (in this process) or any name that Beam knows."""
    workers: int = 1
    """Threads of the FnApiRunner."""
    beam_flags: tuple[str, ...] = ()
    """Beam's own flags, passed on unchanged."""

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 1024:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to 1024")


class ScoreSettings(Config, frozen=True, kw_only=True):
    """Perplexity of each document under a language model, or under the model of its language."""

    mode: Literal["lines", "ccnet", "bertin"] | None = None
    """How text becomes sentences, see `corpora.perplexity.model`. None: as LM.json says."""
    language_column: str | None = None
    """The column or JSON field that names a document's language. None: with several models, its file's path does."""
    item_bytes: int = 64 * MEBIBYTE
    """Inputs that can be split are cut into items of about this many bytes."""

    def __post_init__(self) -> None:
        if self.language_column == "":
            raise ValueError("language_column is empty: name a column, or leave it out")
        if self.item_bytes < 1:
            raise ValueError(f"item_bytes is {self.item_bytes}; it must be at least 1")


Group = str
WIDTHS = {"bertin": 4.5, "bertin-early": 2 / 9}
BUCKETS = ("head", "middle", "tail")
REST = "*"  # in keep and keep_documents: the groups that are not named


class SampleSettings(Config, frozen=True, kw_only=True):
    """Which documents are kept. None means the method's default, or fitted to the scores.

    per: what is fitted apart. Perplexities of different languages (and models) don't compare, so each language is a
    group of its own; "source" and "language,source" split by the input's name up to its shard number, "all" not.
    keep: share of the scored documents, solved for in each group; or a share by group, "*" for the others.
    keep_documents: their number; or a number by group, "*" for the others together. factor: set by hand instead.
    width: of the gaussian; "bertin" (9/2, as published) or "bertin-early" (2/9, its earlier commit: it sieves).
    percentiles, keep_buckets: CCNet's head below the 30th, middle below the 60th, else tail; which of them are kept.
    """

    method: Literal["gaussian", "stepwise", "random", "buckets"] = "gaussian"
    per: Literal["language", "source", "language,source", "all"] = "language"
    keep: float | dict[Group, float] | None = None
    keep_documents: int | dict[Group, int] | None = None
    factor: float | None = None
    width: float | str | None = None
    median: float | None = None
    boundaries: tuple[float, float, float] | None = None
    percentiles: tuple[float, float] | None = None
    keep_buckets: tuple[str, ...] | None = None
    seed: int = 0
    format: Literal["parquet", "jsonl.gz", "jsonl.zst"] = "parquet"

    def __post_init__(self) -> None:
        if isinstance(self.width, str):
            if self.width not in WIDTHS:
                raise ValueError(f"width is {self.width!r}; it must be {', '.join(WIDTHS)} or a number")
            msgspec.structs.force_setattr(self, "width", WIDTHS[self.width])  # one fingerprint for both spellings
        self._check_amount()
        self._check_method()
        for name in ("factor", "width", "median"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0")
        if self.percentiles and not 0 < self.percentiles[0] < self.percentiles[1] < 100:
            raise ValueError(f"percentiles are {self.percentiles}; they must ascend between 0 and 100")
        if self.keep_buckets is not None and not {*self.keep_buckets} <= {*BUCKETS}:
            raise ValueError(f"keep_buckets are {','.join(self.keep_buckets)}; choose of {','.join(BUCKETS)}")

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

    def _check_method(self) -> None:
        own = {
            "gaussian": ("width", "median"),
            "stepwise": ("boundaries",),
            "random": (),
            "buckets": ("percentiles", "keep_buckets"),
        }
        for name in sorted({n for names in own.values() for n in names} - {*own[self.method]}):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} does not apply to the method {self.method}: remove it")


def _of(group: Group, value: float) -> str:
    return f"{value}" if group == REST else f"{group}={value}"
