"""The ways from a document's bytes to the scores of its lines: fast ones without kenlm, and the plain loop with it.

All give the same results: `kenlm.Model.score(line)` and `len(line.split()) + 1` for every line, bit for bit. The
model file and the tokenizer decide which one is used. Many threads may call any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from corpora.encoding.cache.lending import Lender
from corpora.perplexity.line_scores import LineScores
from corpora.perplexity.pieces import batches
from corpora.perplexity.probing import ProbingModel
from corpora.perplexity.raw_words import raw_lines
from corpora.perplexity.settings import ScoringMode
from corpora.text.normalise import Normaliser

if TYPE_CHECKING:
    from corpora.encoding.sentencepiece.word_pieces import WordPieces

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
_WORDS_END = b" "
_KENLM_WORDS = re.compile(r"[^\t-\r ]+")


class LineScorer(Protocol):
    def __call__(self, data: Bytes, offsets: Offsets) -> LineScores:
        """Scores every line of the documents data[offsets[k]:offsets[k + 1]], UTF-8."""
        ...


class RawWordScorer:
    """Mode bertin: lines as they are."""

    def __init__(self, ngrams: ProbingModel) -> None:
        self._ngrams = ngrams

    def __call__(self, data: Bytes, offsets: Offsets) -> LineScores:
        return _score_raw(self._ngrams, data, offsets, split=True)


def _score_raw(ngrams: ProbingModel, data: Bytes, offsets: Offsets, *, split: bool) -> LineScores:
    lines = raw_lines(ngrams, data, offsets, split=split)
    scores = ngrams.score_lines(lines.ids, lines.offsets)
    return LineScores(scores, lines.lengths, lines.lines_per_document, *_unknown(lines.ids))


def _unknown(ids: npt.NDArray[np.uint32]) -> tuple[int, int]:
    """How many ids there are, and how many of them are `<unk>`."""
    return len(ids), int(np.count_nonzero(ids == 0))


class WordPieceScorer:
    """Modes lines and ccnet: every working thread borrows an encoder with a word cache."""

    def __init__(
        self, ngrams: ProbingModel, model: bytes, processor: Any, mode: ScoringMode, normaliser: Normaliser
    ) -> None:
        pieces = [piece.encode() for piece in processor.id_to_piece(list(range(processor.get_piece_size())))]
        self._ngrams = ngrams
        self._lender = Lender(
            partial(_word_pieces, ngrams, ngrams.word_ids(pieces), model, normaliser, mode == "lines")
        )

    def __call__(self, data: Bytes, offsets: Offsets) -> LineScores:
        with self._lender.lent() as encoder:
            lines = encoder.encode(data, offsets)
        scores = self._ngrams.score_lines(lines.values, lines.offsets)
        lengths = np.diff(lines.offsets) + 1
        return LineScores(scores, lengths, lines.lines_per_document, *_unknown(lines.values))


def _word_pieces(
    ngrams: ProbingModel,
    values: npt.NDArray[np.uint32],
    model: bytes,
    normaliser: Normaliser,
    by_line: bool,
    cache_bytes: int,
) -> WordPieces:
    from corpora.encoding.sentencepiece.word_pieces import WordPieces

    return WordPieces(
        model,
        normaliser=normaliser,
        separators=_WORDS_END,
        line_end=by_line,
        values=values,
        unknown_values=lambda surfaces: ngrams.word_ids(surfaces).tolist(),
        cache_bytes=cache_bytes,
    )


class SentencePieceScorer:
    """Modes lines and ccnet with a tokenizer that `WordPieces` doesn't support: SentencePiece encodes every line."""

    def __init__(self, ngrams: ProbingModel, processor: Any, mode: ScoringMode, normaliser: Normaliser) -> None:
        self._ngrams = ngrams
        self._lines = _PieceLines(processor, mode, normaliser)

    def __call__(self, data: Bytes, offsets: Offsets) -> LineScores:
        lines_per_document, lines = self._lines(data, offsets)
        encoded = [line.encode() for line in lines]
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(line) for line in encoded], dtype=np.int64)])
        scored = _score_raw(self._ngrams, np.frombuffer(b"".join(encoded), np.uint8), ends, split=False)
        return scored._replace(lines_per_document=lines_per_document)


class KenlmScorer:
    """Any mode with kenlm itself, line by line in Python: for files that `ProbingModel` can't read."""

    def __init__(self, model: Any, processor: Any | None, mode: ScoringMode, normaliser: Normaliser) -> None:
        self._model = model
        self._lines: _Lines = _raw_text_lines if processor is None else _PieceLines(processor, mode, normaliser)

    def __call__(self, data: Bytes, offsets: Offsets) -> LineScores:
        lines_per_document, lines = self._lines(data, offsets)
        scores = np.fromiter((self._model.score(line) for line in lines), np.float32, len(lines))
        lengths = np.fromiter((len(line.split()) + 1 for line in lines), np.int64, len(lines))
        words = [word for line in lines for word in _KENLM_WORDS.findall(line.partition("\0")[0])]
        unknown = sum(word not in self._model for word in words)
        return LineScores(scores, lengths, lines_per_document, len(words), unknown)


_Lines = Callable[[Bytes, Offsets], tuple[Offsets, Sequence[str]]]


class _PieceLines:
    """Documents to lines of pieces joined by spaces, as kenlm takes them, and how many lines each has."""

    def __init__(self, processor: Any, mode: ScoringMode, normaliser: Normaliser) -> None:
        self._processor = processor
        self._normalise = normaliser
        self._split = mode == "lines"

    def __call__(self, data: Bytes, offsets: Offsets) -> tuple[Offsets, list[str]]:
        documents = [text.split("\n") if self._split else [text] for text in _texts(data, offsets)]
        normalised = (self._normalise(line) for lines in documents for line in lines)
        joined = [
            " ".join(pieces)
            for batch in batches(normalised)
            for pieces in self._processor.encode(batch, out_type=str, num_threads=1)
        ]
        return np.fromiter(map(len, documents), np.int64, len(documents)), joined


def _raw_text_lines(data: Bytes, offsets: Offsets) -> tuple[Offsets, list[str]]:
    documents = [text.split("\n") for text in _texts(data, offsets)]
    return np.fromiter(map(len, documents), np.int64, len(documents)), [line for lines in documents for line in lines]


def _texts(data: Bytes, offsets: Offsets) -> Iterator[str]:
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        yield data[start:end].tobytes().decode()
