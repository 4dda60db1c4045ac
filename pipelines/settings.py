"""Settings of the Beam stages. Imports neither Beam nor torch, so that recipes can be read without them."""

from __future__ import annotations

from typing import Literal

from corpora.config import Config

MEBIBYTE = 1 << 20
STALL_MINUTES = 20.0


class RunnerSettings(Config, frozen=True, kw_only=True):
    """Where a pipeline runs. These settings don't change a byte of the output."""

    runner: str = "FnApiRunner"
    """FnApiRunner (in this process) or any name that Beam knows."""
    workers: int = 1
    """Threads of the FnApiRunner."""
    beam_flags: tuple[str, ...] = ()
    """Beam's own flags, passed on unchanged."""
    stall_minutes: float = STALL_MINUTES
    """Minutes without any progress, of a unit or of the run, after which what stands still is ended and said."""
    share: tuple[int, int] | None = None
    """(i, n): the i-th of n independent runs on one output, each with its share of the units. None: all units."""

    def __post_init__(self) -> None:
        if not 0 < self.stall_minutes <= 10_000:
            raise ValueError(f"stall_minutes is {self.stall_minutes:g}; it must be above 0 and at most 10000")
        if self.share is not None and not 1 <= self.share[0] <= self.share[1]:
            raise ValueError(f"share is {self.share[0]}/{self.share[1]}; it must be from 1/{self.share[1]} up")
        if not 1 <= self.workers <= 1024:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to 1024")


class ScoreSettings(Config, frozen=True, kw_only=True):
    """How documents are scored: with one language model, or with the model of each document's language."""

    mode: Literal["lines", "ccnet", "bertin"] | None = None
    """How text is split into sentences, see `corpora.perplexity.model`. None: as recorded in LM.json."""
    language_column: str | None = None
    """The column or JSON field with a document's language. None: with several models, the file's path names it."""
    lower_case: bool = True
    """Whether the normaliser makes text lower case. For a model without LM.json: CCNet's need it, edugp's don't."""
    remove_accents: bool = True
    """Whether the normaliser removes accents. For a model without LM.json: CCNet's need it, edugp's don't."""
    allow_unknown: bool = False
    """Score even if the model doesn't know most of the documents' pieces or words."""
    item_bytes: int = 64 * MEBIBYTE
    """Inputs that can be split are split into items of about this many bytes."""

    def __post_init__(self) -> None:
        if self.language_column == "":
            raise ValueError("language_column is empty: name a column, or leave it out")
        if self.item_bytes < 1:
            raise ValueError(f"item_bytes is {self.item_bytes}; it must be at least 1")
