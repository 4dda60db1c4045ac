"""Settings of the Beam stages. Imports neither Beam nor torch, so that recipes can name them."""

from __future__ import annotations

from typing import Literal

from corpora.config import Config

MEBIBYTE = 1 << 20


class RunnerSettings(Config, frozen=True, kw_only=True):
    """Where a pipeline runs. None of it changes a byte of the output.

    runner: FnApiRunner (in this process) or any name that Beam knows.
    workers: threads of the FnApiRunner.
    beam_flags: Beam's own flags, passed on as they are.
    """

    runner: str = "FnApiRunner"
    workers: int = 1
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 1024:
            raise ValueError(f"workers is {self.workers}; it must be from 1 to 1024")


class ScoreSettings(Config, frozen=True, kw_only=True):
    """Perplexity of each document under one language model.

    mode: lines | ccnet | bertin, None for what LM.json says.
    item_bytes: inputs that can be split are cut into items of about this many bytes.
    """

    mode: Literal["lines", "ccnet", "bertin"] | None = None
    item_bytes: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        if self.item_bytes < 1:
            raise ValueError(f"item_bytes is {self.item_bytes}; it must be at least 1")


class SampleSettings(Config, frozen=True, kw_only=True):
    """Which documents are kept. At most one of keep, keep_documents and factor; None means the method's default.

    keep: share of the scored documents, solved for. width: of the gaussian (9/2 as BERTIN published, 2/9 as its
    earlier commit). median, boundaries: fitted from the scores where None.
    """

    method: Literal["gaussian", "stepwise", "random"] = "gaussian"
    keep: float | None = None
    keep_documents: int | None = None
    factor: float | None = None
    width: float | None = None
    median: float | None = None
    boundaries: tuple[float, float, float] | None = None
    seed: int = 0
    format: Literal["parquet", "jsonl.gz", "jsonl.zst"] = "parquet"

    def __post_init__(self) -> None:
        chosen = [n for n in ("keep", "keep_documents", "factor") if getattr(self, n) is not None]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other: give one")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ValueError(f"keep is {self.keep}; it must be above 0 and at most 1")
        if self.keep_documents is not None and self.keep_documents < 1:
            raise ValueError(f"keep_documents is {self.keep_documents}; it must be at least 1")
        self._check_method()

    def _check_method(self) -> None:
        foreign = {"gaussian": ("boundaries",), "stepwise": ("width", "median")}
        for name in foreign.get(self.method, ("width", "median", "boundaries")):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} does not apply to the method {self.method}: remove it")
        for name in ("factor", "width", "median"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0")
