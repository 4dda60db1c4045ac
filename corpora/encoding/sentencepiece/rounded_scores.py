"""Scores of a SentencePiece model as multiples of 2**-5.

Sums along a text are then exact in float32 (SentencePiece) and float64 (tokenizers): near-ties break alike in both,
don't depend on what came before, and words can be encoded one by one.
"""

from __future__ import annotations

from corpora.encoding.sentencepiece.model_proto import (
    BYTES,
    PIECES,
    Field,
    Piece,
    decode_piece,
    encode,
    encode_piece,
    fields,
)

SCORE_STEP = 2.0**-5


def rounded(piece: Piece) -> Piece:
    """The piece with its score rounded to the nearest multiple of SCORE_STEP."""
    return piece._replace(score=round(piece.score / SCORE_STEP) * SCORE_STEP)


def with_rounded_scores(model: bytes) -> bytes:
    """The model with rounded scores, otherwise unchanged."""
    return encode(_rounded_field(field) for field in fields(model))


def _rounded_field(field: Field) -> Field:
    if field.number != PIECES or not isinstance(field.value, bytes):
        return field
    return Field(PIECES, BYTES, encode_piece(rounded(decode_piece(field.value))))
