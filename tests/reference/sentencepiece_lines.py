"""SentencePiece line by line, the twin of `encoding.sentencepiece.word_pieces`; and unigram models made by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import sentencepiece

from corpora.encoding.sentencepiece.model_proto import (
    BYTES,
    CONTROL,
    NORMAL,
    NORMALIZER_SPEC,
    PIECES,
    TRAINER_SPEC,
    UNKNOWN,
    VARINT,
    Field,
    Piece,
    encode,
    encode_piece,
    fields,
)
from corpora.encoding.sentencepiece.word_pieces import WordPieces
from corpora.text.normalise import CCNET, Normaliser

UNKNOWNS = 1 << 20  # values of unknown surfaces begin here


def train(lines: Iterable[str], pieces: int, rules: str = "nmt_nfkc") -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        vocab_size=pieces,
        hard_vocab_limit=False,
        normalization_rule_name=rules,
        character_coverage=0.995,
        minloglevel=2,
    )
    return out.getvalue()


def with_pieces(model: bytes, pieces: Iterable[Piece]) -> bytes:
    """The model with other pieces after <unk>, <s> and </s>."""
    first = [Piece("<unk>", 0, UNKNOWN), Piece("<s>", 0, CONTROL), Piece("</s>", 0, CONTROL)]
    rest = [field for field in fields(model) if field.number != PIECES]
    return encode([*(Field(PIECES, BYTES, encode_piece(piece)) for piece in [*first, *pieces]), *rest])


def with_setting(model: bytes, spec: int, number: int, value: int) -> bytes:
    """The model with one number of its TRAINER_SPEC or NORMALIZER_SPEC set."""
    assert spec in (TRAINER_SPEC, NORMALIZER_SPEC)

    def changed(message: bytes) -> bytes:
        return encode([*(field for field in fields(message) if field.number != number), Field(number, VARINT, value)])

    return encode(
        Field(field.number, field.wire, changed(field.value) if field.number == spec else field.value)  # type: ignore[arg-type]
        for field in fields(model)
    )


def normal(texts_and_scores: dict[str, float]) -> list[Piece]:
    return [Piece(text, score, NORMAL) for text, score in texts_and_scores.items()]


class Pair:
    """WordPieces and its twin, of the same model and settings, both giving pieces as text."""

    def __init__(
        self, model: bytes, normaliser: Normaliser | None = CCNET, mode: str = "lines", cache_bytes: int = 1
    ) -> None:
        from corpora.encoding.sentencepiece.code_points import normalise_function

        self._normalise: Callable[[str], str] = normalise_function(normaliser)
        self._by_line = mode == "lines"
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self._surfaces: list[str] = []
        self.fast = WordPieces(
            model,
            normaliser=normaliser,
            separators=b" \n" if mode == "shards" else b" ",
            line_end=self._by_line,
            values=np.arange(self._processor.get_piece_size(), dtype=np.uint32),
            unknown_values=self._unknown_values,
            cache_bytes=cache_bytes,
        )

    def _unknown_values(self, surfaces: list[bytes]) -> list[int]:
        self._surfaces += [surface.decode() for surface in surfaces]
        return list(range(UNKNOWNS + len(self._surfaces) - len(surfaces), UNKNOWNS + len(self._surfaces)))

    def slow(self, documents: list[str]) -> list[list[list[str]]]:
        """The pieces of each line of each document."""
        lines = [document.split("\n") if self._by_line else [document] for document in documents]
        return [[self._processor.encode(self._normalise(line), out_type=str) for line in of] for of in lines]

    def words(self, documents: list[str]) -> list[list[list[str]]]:
        """The same by WordPieces."""
        data, offsets = packed(documents)
        found = self.fast.encode(data, offsets)
        texts = [self._text(value) for value in found.values.tolist()]
        bounds = found.offsets.tolist()
        lines = iter([texts[a:b] for a, b in pairwise(bounds)])
        of_documents = [[next(lines) for _ in range(count)] for count in found.lines_per_document.tolist()]
        assert next(lines, None) is None
        return of_documents

    def _text(self, value: int) -> str:
        piece: str = self._surfaces[value - UNKNOWNS] if value >= UNKNOWNS else self._processor.id_to_piece(value)
        return piece


def packed(documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [document.encode() for document in documents]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)], dtype=np.int64)
