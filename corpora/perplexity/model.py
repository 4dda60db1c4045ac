"""The perplexity of documents under a KenLM model.

S = sum of `kenlm.Model.score(line)` (log10, with `<s>` and `</s>`), N = sum of `len(line.split()) + 1`;
perplexity = 10 ** (-S / N). The mode says what the lines are:
lines   every line of the text, normalised, as pieces joined by spaces; empty lines count
ccnet   the whole text, normalised (which deletes newlines), as pieces, in one line: CCNet's value before rounding
bertin  every line of the text, as it is

The values are those of kenlm and SentencePiece, bit for bit; `line_scorers` computes them. Probing binaries,
which `build_binary` and `tamiz lm train` write, need no kenlm. Memory: batches of a megabyte (a longer line is one
batch), and a word cache for every thread that uses a model (`encoding.sentencepiece.word_pieces`): at most 96 MiB
plus some 50 MB of buffers, less from the eleventh cache in a process on. The model itself is memory-mapped, so
processes share its pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.perplexity.lm_files import LmFiles, resolve_lm
from corpora.perplexity.lm_manifest import recorded_sha256
from corpora.perplexity.pieces import load_tokenizer, unseen_pieces
from corpora.perplexity.with_kenlm import load_kenlm, mass_of
from corpora.text.normalise import CCNET, Normaliser

if TYPE_CHECKING:
    from corpora.perplexity.line_scorers import LineScorer
    from corpora.perplexity.probing import ProbingModel
    from corpora.perplexity.text_batches import Texts

__all__ = ["PerplexityModel", "Scores", "recorded_sha256"]

FEW_LETTERS = 10
_FAST = "probing"  # the file type that is read without kenlm
_log = logging.getLogger(__name__)
_said: set[str] = set()


class Scores(NamedTuple):
    """perplexity float64[n]; lengths int64[n]: N of each text.

    tokens, unknown: the words or pieces of all texts together, and how many of them the model doesn't know.
    """

    perplexity: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    tokens: int
    unknown: int


class PerplexityModel:
    """Scores documents. One instance may serve many threads; it is pickled as its arguments, and loaded again."""

    def __init__(
        self,
        path: str | Path,
        tokenizer: str | Path | None = None,
        mode: str | None = None,
        *,
        trust: bool = False,
        normaliser: Normaliser = CCNET,
    ) -> None:
        """Opens `path`, a KenLM file, after checking its header, size and sha256.

        If LM.json is beside it, tokenizer and mode come from there, and others are refused. A foreign model needs
        `mode`, and a tokenizer (a SentencePiece model) unless the mode is bertin; their sha256 are recorded at first
        use. Foreign files other than probing binaries are loaded by kenlm, which a damaged file can crash: they need
        a recorded sha256 or `trust`. normaliser: of a foreign model of pieces.
        Raises BadArgument for a missing file or a mismatch, DamagedFile for a file that has changed, TamizError if
        kenlm is needed but not installed.
        """
        self._arguments = (str(path), None if tokenizer is None else str(tokenizer), mode)
        self._more = (trust, normaliser)
        self._files = resolve_lm(path, tokenizer, mode, trust=trust, normaliser=normaliser)
        self.mode = self._files.mode
        self._score_lines, self.unreachable = _line_scorer(self._files)

    def __repr__(self) -> str:
        return f"PerplexityModel({self._arguments[0]!r}, mode={self.mode!r}, order={self.order})"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopened, (*self._arguments, *self._more)

    unreachable: float
    """How much of a foreign model's unigram probability is words that the tokenizer never makes: hardly any, if it is
    the model's own. 0 for a model with LM.json. In mode bertin, 1 if a foreign model is one of pieces."""

    @property
    def order(self) -> int:
        return self._files.header.order

    def identity(self) -> dict[str, str | None]:
        """The sha256 of model and tokenizer: with the mode, they determine every score."""
        return dict(self._files.sha256)

    def score(self, texts: Texts) -> npt.NDArray[np.float64]:
        """The perplexity of every text, float64[n]; NaN for null, and in mode ccnet for a text without any piece.

        texts: strings, or an Arrow array of them, chunked or not. Raises BadArgument for anything else, and for a
        string with a lone surrogate.
        """
        return self.scores(texts).perplexity

    def score_with_lengths(self, texts: Texts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Perplexity float64[n] and N int64[n] of every text: NaN and 0 where `score` gives NaN."""
        return self.scores(texts)[:2]

    def scores(self, texts: Texts) -> Scores:
        """All there is to know about the texts."""
        from corpora.perplexity.line_scores import add_lines
        from corpora.perplexity.text_batches import check_texts, text_batches

        check_texts(texts)
        totals, lengths = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
        tokens = unknown = 0
        for row, data, offsets, null in text_batches(texts, cut=self.mode != "ccnet"):
            rows = slice(row, row + len(null))
            lines = self._score_lines(data, offsets)
            add_lines(lines, totals[rows], lengths[rows])
            lengths[rows][null] = 0
            tokens, unknown = tokens + lines.tokens, unknown + lines.unknown
        if self.mode == "ccnet":
            lengths[lengths == 1] = 0  # nothing but the end of the sentence: CCNet gives no perplexity
        pairs = zip(totals.tolist(), lengths.tolist(), strict=True)
        perplexity = np.array([_perplexity(total, length) for total, length in pairs], np.float64)
        return Scores(perplexity, lengths, tokens, unknown)


def _perplexity(total: float, length: int) -> float:
    """The perplexity, with Python's pow, which is libm's: numpy's and LLVM's differ in the last bit."""
    if length == 0:
        return np.nan
    try:
        return float(10.0 ** (-total / length))
    except OverflowError:
        return np.inf


def _reopened(
    path: str, tokenizer: str | None, mode: str | None, trust: bool, normaliser: Normaliser
) -> PerplexityModel:
    return PerplexityModel(path, tokenizer, mode, trust=trust, normaliser=normaliser)


def _line_scorer(lm: LmFiles) -> tuple[LineScorer, float]:
    """The fastest scorer that gives kenlm's scores, and the model's share of words that its tokenizer can't make."""
    from corpora.perplexity import line_scorers
    from corpora.perplexity.probing import ProbingModel

    processor = None if lm.tokenizer is None else load_tokenizer(lm.tokenizer)
    unseen = unseen_pieces(processor, lm.normaliser)
    if unseen:
        _say(f"{lm.tokenizer}: {unseen}")
    if lm.header.type != _FAST:
        model = load_kenlm(lm.path)
        _say(f"{lm.path}: {lm.header.type}, so kenlm scores it line by line: a probing binary is much faster")
        unreachable = _unreachable(lm, processor, lambda pieces: mass_of(model, pieces))
        return line_scorers.KenlmScorer(model, processor, lm.mode, lm.normaliser), unreachable
    ngrams = ProbingModel(lm.path, lm.header)
    if lm.tokenizer is None:
        return line_scorers.RawWordScorer(ngrams), float(lm.foreign and _is_of_pieces(ngrams))

    from corpora.encoding.sentencepiece.word_pieces import why_not

    tokenizer = lm.tokenizer.read_bytes()
    unreachable = _unreachable(lm, processor, lambda pieces: ngrams.mass_of([piece.encode() for piece in pieces]))
    reason = why_not(tokenizer)
    if reason is not None:
        _say(f"{lm.tokenizer}: {reason}, so SentencePiece encodes every line, which is much slower")
        return line_scorers.SentencePieceScorer(ngrams, processor, lm.mode, lm.normaliser), unreachable
    return line_scorers.WordPieceScorer(ngrams, tokenizer, processor, lm.mode, lm.normaliser), unreachable


def _is_of_pieces(ngrams: ProbingModel) -> bool:
    """Whether the words are SentencePiece's: of `▁` and a letter, no text has many as words."""
    letters = [f"▁{letter}".encode() for letter in ("", *ascii_lowercase)]
    return int(np.count_nonzero(ngrams.word_ids(letters))) >= FEW_LETTERS


def _unreachable(lm: LmFiles, processor: Any, mass_of: Callable[[list[str]], float]) -> float:
    """A model's words are the pieces of its own tokenizer, and what that leaves as unknown: hardly anything."""
    if not lm.foreign or processor is None:
        return 0.0
    return max(0.0, 1.0 - mass_of(processor.id_to_piece(list(range(processor.get_piece_size())))))


def _say(slow: str) -> None:
    """Logs a message once per process."""
    if slow not in _said:
        _said.add(slow)
        _log.warning("%s", slow)
