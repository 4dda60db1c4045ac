"""Makes a trained SentencePiece model reproducible before it is saved."""

from __future__ import annotations

from corpora.encoding.sentencepiece.model_proto import (
    BYTES,
    NORMAL,
    NORMALIZER_SPEC,
    PIECES,
    SELF_TEST_DATA,
    TRAINER_SPEC,
    UNUSED,
    Field,
    Piece,
    decode_piece,
    encode,
    encode_piece,
    fields,
)
from corpora.encoding.sentencepiece.rounded_scores import rounded

_VOCAB_SIZE = 4
# input, model_prefix, self_test_sample_size, input_format, num_threads, required_chars: depend on machine or run
_CLEARED = frozenset((1, 2, 6, 7, 16, 36))
_DUMMY_PREFIX = 3


def settle(model: bytes, num_pieces: int, *, dummy_prefix: bool = False) -> bytes:
    """The model with rounded scores, filled up to `num_pieces` pieces, without fields that depend on the run.

    Scores become multiples of 2**-5: sums along a document are then exact in float32 (SentencePiece) and float64
    (tokenizers), so near-ties break alike in both and don't depend on what came before.
    dummy_prefix: put a space before every text, even if training didn't.
    """
    top = list(fields(model))
    pieces = [rounded(decode_piece(f.value)) for f in top if f.number == PIECES and isinstance(f.value, bytes)]
    pieces += _unused(pieces, num_pieces - len(pieces))
    spec: dict[int, int | bytes] = {_VOCAB_SIZE: len(pieces)}
    rest = [f for f in top if f.number not in (PIECES, SELF_TEST_DATA)]
    rest = [_changed(f, TRAINER_SPEC, spec, _CLEARED) for f in rest]
    if dummy_prefix:
        rest = [_changed(f, NORMALIZER_SPEC, {_DUMMY_PREFIX: 1}) for f in rest]
    return encode([*(Field(PIECES, BYTES, encode_piece(piece)) for piece in pieces), *rest])


def _unused(pieces: list[Piece], count: int) -> list[Piece]:
    """Pieces that text never yields: SentencePiece skips type UNUSED; for `tokenizers`, the export replaces `<`.

    Their score is the lowest of the others, not lower: tokenizers derives the unknown piece's score from all of them.
    """
    lowest = min((piece.score for piece in pieces if piece.type == NORMAL), default=0.0)
    return [Piece(f"<unused_{n}>", lowest, UNUSED) for n in range(count)]


def _changed(
    field: Field, number: int, values: dict[int, int | bytes], cleared: frozenset[int] = frozenset()
) -> Field:
    """The field; if it is the message with this number, its fields are replaced by `values` where it has them."""
    if field.number != number or not isinstance(field.value, bytes):
        return field
    kept = [f for f in fields(field.value) if f.number not in cleared]
    return Field(number, BYTES, encode(f._replace(value=values.get(f.number, f.value)) for f in kept))
