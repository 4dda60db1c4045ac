"""The settings of `tamiz lm train`. Imports no heavy library."""

from __future__ import annotations

import re
from typing import Literal

from corpora.config import Config

MINIMUM_ORDER = 2
MAXIMUM_ORDER = 6  # what the kenlm wheel is compiled for (KENLM_MAX_ORDER)
DEFAULT_VOCABULARY = 32_000
LEAST_MEMORY = 64 << 20  # bytes
SENTENCEPIECE_THREADS = 2  # a constant: 1, 2 and 4 threads train three different models
CHARACTER_COVERAGE = 0.9995  # cc_net/Makefile
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)B?", re.IGNORECASE)

ScoringMode = Literal["lines", "ccnet", "bertin"]


def parse_size(size: str) -> int:
    """'2G', '500M' or '1.5GB' in bytes, powers of 1,024. Raises ValueError."""
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError(f"{size!r} is not a size: write a number and K, M, G or T, such as '2G'")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


class LmSettings(Config, frozen=True, kw_only=True):
    """How a language model is estimated."""

    order: int = 5
    """The longest n-gram."""

    prune: tuple[int, ...] | None = None
    """An n-gram of order k seen at most `prune[k-1]` times is dropped, as with lmplz's `--prune`. None keeps all.

    The last value also applies to higher orders; values must not decrease.
    """

    mode: Literal["lines", "ccnet"] = "lines"
    """A sentence is a line, or (ccnet) the whole text with its newlines deleted."""

    words: bool = False
    """Use raw words: no normaliser and no tokenizer. The model scores in mode `bertin`."""

    skip_symbols: bool = False
    """Leave the words `<s>`, `</s>` and `<unk>` out of raw words, as lmplz's `--skip_symbols` does.

    Otherwise they are an error, because the model reserves them.
    """

    tokenizer: str | None = None
    """A SentencePiece model to use. None trains one."""

    train_tokenizer: int | None = None
    """Pieces of the tokenizer to train. None: 32,000."""

    arpa: str | None = None
    """A file to which the model is also written as text (ARPA)."""

    memory: str = "2G"
    """The memory for arrays; beyond it, they are temporary files beside the model."""

    def __post_init__(self) -> None:
        for name in ("tokenizer", "arpa"):
            if getattr(self, name) == "":
                raise ValueError(f"{name} is empty: name a file, or leave it out")
        if not MINIMUM_ORDER <= self.order <= MAXIMUM_ORDER:
            raise ValueError(f"order is {self.order}: it must be {MINIMUM_ORDER} to {MAXIMUM_ORDER}")
        if self.prune is not None:
            _check_prune(self.prune, self.order)
        chosen = [self.words, self.tokenizer is not None, self.train_tokenizer is not None]
        if sum(chosen) > 1:
            raise ValueError("words, tokenizer and train_tokenizer exclude each other: give one")
        if self.words and self.mode != "lines":
            raise ValueError(f"mode is {self.mode!r}, but words uses every line as it is: leave one out")
        if self.skip_symbols and not self.words:
            raise ValueError(
                "skip_symbols is for raw words: pieces are never reserved words: leave it out, or set words"
            )
        if self.train_tokenizer is not None and self.train_tokenizer < 8:
            raise ValueError(f"train_tokenizer is {self.train_tokenizer}: it must be at least 8 pieces")
        if parse_size(self.memory) < LEAST_MEMORY:
            raise ValueError(
                f"memory is {self.memory!r}: it must be at least 64M, such as '4G' (a bare number is bytes)"
            )

    @property
    def scoring_mode(self) -> ScoringMode:
        """The mode for scoring with this model."""
        return "bertin" if self.words else self.mode

    @property
    def vocabulary_size(self) -> int | None:
        """Pieces of the tokenizer to train; None if none is trained."""
        if self.words or self.tokenizer is not None:
            return None
        return self.train_tokenizer or DEFAULT_VOCABULARY


def _check_prune(prune: tuple[int, ...], order: int) -> None:
    """Raises ValueError."""
    thresholds = ",".join(map(str, prune))
    if not 1 <= len(prune) <= order:
        raise ValueError(f"prune has {len(prune)} thresholds: give 1 to {order}, one for each order")
    if min(prune) < 0 or list(prune) != sorted(prune):
        raise ValueError(f"prune is {thresholds}: thresholds are 0 or more and never decrease")
