"""The perplexity of documents under a KenLM model.

S = sum of `kenlm.Model.score(line)` (log10, with `<s>` and `</s>`), N = sum of `len(line.split()) + 1`;
perplexity = 10 ** (-S / N). The mode says what the lines are:
lines   every line of the text, normalised, in pieces joined by spaces; empty lines count
ccnet   the whole text normalised (its newlines vanish), in pieces, as one line: CCNet's, before its rounding
bertin  every line of the text, as it stands
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument, DamagedFile
from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.lm_manifest import (
    LmManifest,
    check_sha256,
    manifest_path,
    read_manifest,
    recorded_sha256,
    tokenizer_path,
)
from corpora.perplexity.normalise import normalise
from corpora.perplexity.pieces import batches, load_tokenizer
from corpora.perplexity.settings import ScoringMode

if TYPE_CHECKING:
    import pyarrow as pa

    Texts = Sequence[str | None] | pa.Array[Any] | pa.ChunkedArray[Any]

__all__ = ["PerplexityModel", "recorded_sha256"]

_ROWS = 1024  # documents looked at together


class PerplexityModel:
    """Scores documents. One instance may serve many threads; it pickles as its arguments and is loaded anew."""

    def __init__(self, path: str | Path, tokenizer: str | Path | None = None, mode: str | None = None) -> None:
        """Loads `path`, a KenLM file, once its header, size and sha256 are seen to be right.

        With LM.json beside it, tokenizer and mode are taken from there, and others are refused. A model from
        elsewhere needs `mode`, and a tokenizer (a SentencePiece model) unless that is bertin; their sha256 are
        recorded at first use. Raises BadArgument for a missing file or a mismatch, DamagedFile for a file that is
        not what it was.
        """
        self._arguments = (str(path), None if tokenizer is None else str(tokenizer), mode)
        lm = Path(path)
        if not lm.is_file():
            raise BadArgument(f"language model {lm}: no such file")
        self._header = check_lm(lm)
        chosen = None if tokenizer is None else Path(tokenizer)
        manifest = read_manifest(lm)
        own = _foreign(lm, chosen, mode) if manifest is None else _described(lm, chosen, mode, manifest)
        self.mode, pieces, self._sha256 = own
        self._tokenizer = None if pieces is None else load_tokenizer(pieces)
        self._kenlm = _load_kenlm(lm)

    def __reduce__(self) -> tuple[type[PerplexityModel], tuple[str, str | None, str | None]]:
        return PerplexityModel, self._arguments

    @property
    def order(self) -> int:
        return self._header.order

    def identity(self) -> dict[str, str | None]:
        """What decides the scores besides the mode: the sha256 of model and tokenizer."""
        return dict(self._sha256)

    def score(self, texts: Texts) -> npt.NDArray[np.float64]:
        """The perplexity of every text, float64[n]; NaN for null."""
        return self.score_with_lengths(texts)[0]

    def score_with_lengths(self, texts: Texts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Perplexity float64[n] and N int64[n] of every text: NaN and 0 for null.

        Raises BadArgument if `texts` holds anything but strings.
        """
        perplexity = np.full(len(texts), np.nan)
        num_tokens = np.zeros(len(texts), np.int64)
        for start, rows in _rows(texts):
            scored = self._score_rows(rows)
            perplexity[start : start + len(rows)] = [pp for pp, _ in scored]
            num_tokens[start : start + len(rows)] = [n for _, n in scored]
        return perplexity, num_tokens

    def _score_rows(self, rows: list[str | None]) -> list[tuple[float, int]]:
        documents = [[] if text is None else self._lines(text) for text in rows]
        scores = self._score_lines(line for lines in documents for line in lines)
        return [_perplexity([next(scores) for _ in lines]) for lines in documents]

    def _lines(self, text: str) -> list[str]:
        if self.mode == "ccnet":
            return [normalise(text)]
        lines = text.split("\n")
        return lines if self.mode == "bertin" else [normalise(line) for line in lines]

    def _score_lines(self, lines: Iterator[str]) -> Iterator[tuple[float, int]]:
        """(log10 probability, length with `</s>`) of every line."""
        for batch in batches(lines):
            if self._tokenizer is not None:
                batch = [" ".join(pieces) for pieces in self._tokenizer.encode(batch, out_type=str, num_threads=1)]
            for line in batch:
                yield self._kenlm.score(line), len(line.split()) + 1


def _perplexity(lines: list[tuple[float, int]]) -> tuple[float, int]:
    if not lines:
        return np.nan, 0
    total, length = 0.0, 0
    for score, tokens in lines:  # not sum(), which compensates rounding from Python 3.12 on
        total += score
        length += tokens
    return 10.0 ** (-total / length), length


def _rows(texts: Texts) -> Iterator[tuple[int, list[str | None]]]:
    """(first row, rows) by the thousand, as Python strings."""
    arrow = hasattr(texts, "to_pylist")
    if arrow and str(texts.type) not in ("string", "large_string", "string_view", "null"):  # type: ignore[union-attr]
        raise BadArgument(f"texts are {texts.type}: expected strings")  # type: ignore[union-attr]
    for start in range(0, len(texts), _ROWS):
        part: Any = texts[start : start + _ROWS]
        rows: list[str | None] = part.to_pylist() if arrow else list(part)
        for row, text in enumerate(rows, start):
            if text is not None and not isinstance(text, str):
                raise BadArgument(f"text {row} is {type(text).__name__}: expected a string or None")
        yield start, rows


def _described(
    lm: Path, tokenizer: Path | None, mode: str | None, manifest: LmManifest
) -> tuple[ScoringMode, Path | None, dict[str, str | None]]:
    """Mode, tokenizer and sha256 of a model with LM.json."""
    says = manifest_path(lm)
    if mode not in (None, manifest.mode):
        raise BadArgument(f"mode is {mode!r}, but {says} says {manifest.mode!r}: leave it out")
    if manifest.tokenizer_sha256 is None and tokenizer is not None:
        raise BadArgument(f"tokenizer {tokenizer}: {says} says the model is of raw words: leave it out")
    sha256: dict[str, str | None] = {
        "lm_sha256": check_sha256(lm, manifest.lm_sha256, says),
        "tokenizer_sha256": None,
    }
    if manifest.tokenizer_sha256 is None:
        return manifest.mode, None, sha256
    tokenizer = tokenizer or tokenizer_path(lm)
    if not tokenizer.is_file():
        raise BadArgument(f"tokenizer {tokenizer}: no such file, but {says} says there is one")
    sha256["tokenizer_sha256"] = check_sha256(tokenizer, manifest.tokenizer_sha256, says)
    return manifest.mode, tokenizer, sha256


def _foreign(
    lm: Path, tokenizer: Path | None, mode: str | None
) -> tuple[ScoringMode, Path | None, dict[str, str | None]]:
    """Mode, tokenizer and sha256 of a model from elsewhere."""
    modes = get_args(ScoringMode)
    if mode not in modes:
        raise BadArgument(f"{lm} has no {manifest_path(lm).name} beside it: mode must be one of {', '.join(modes)}")
    if (mode == "bertin") != (tokenizer is None):
        needs = "takes no tokenizer: it scores raw words" if tokenizer else "needs the model's tokenizer"
        raise BadArgument(f"{lm}: mode {mode} {needs}")
    if tokenizer is not None and not tokenizer.is_file():
        raise BadArgument(f"tokenizer {tokenizer}: no such file")
    sha256 = None if tokenizer is None else recorded_sha256(tokenizer)
    return cast(ScoringMode, mode), tokenizer, {"lm_sha256": recorded_sha256(lm), "tokenizer_sha256": sha256}


def _load_kenlm(path: Path) -> Any:
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), config)
    except (OSError, RuntimeError) as error:
        raise DamagedFile(f"{path}: kenlm can't load it ({' '.join(str(error).split())[:200]})") from None
