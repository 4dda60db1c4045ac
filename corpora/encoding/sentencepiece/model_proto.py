"""Reads and writes SentencePiece model files without the protobuf library, whose versions conflict with Beam's.

Source of the field numbers: google/sentencepiece src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from corpora.errors import DamagedFile

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
PIECES, TRAINER_SPEC, NORMALIZER_SPEC, SELF_TEST_DATA = 1, 2, 3, 4  # fields of ModelProto
UNIGRAM, BPE = 1, 2
_FLOAT = struct.Struct("<f")


class Field(NamedTuple):
    """One field of a message; fixed-width values stay bytes."""

    number: int
    wire: int
    value: int | bytes


class Piece(NamedTuple):
    """An entry of the vocabulary; its id is its position."""

    text: str
    score: float
    type: int = NORMAL


@dataclass(frozen=True)
class SentencePieceModel:
    """The parts of a model that tamiz reads. charsmap: the compiled normalisation rules."""

    pieces: list[Piece]
    model_type: int
    whitespace_as_suffix: bool
    charsmap: bytes
    dummy_prefix: bool
    collapses_spaces: bool
    escapes_spaces: bool


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message, in order. Raises ValueError if it is truncated or not protobuf."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(message, position)
            yield Field(number, wire, value)
            continue
        if wire not in (FIXED64, BYTES, FIXED32):
            raise ValueError(f"wire type {wire}")
        size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
        if size < 0:
            size, position = _varint(message, position)
        if position + size > len(message):
            raise ValueError("truncated")
        yield Field(number, wire, message[position : position + size])
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("truncated")
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def encode(message: Iterable[Field]) -> bytes:
    """The message's bytes: `encode(fields(m)) == m` for any m that protobuf wrote."""
    out = bytearray()
    for number, wire, value in message:
        out += _encode_varint(number << 3 | wire)
        if isinstance(value, int):
            out += _encode_varint(value)
        else:
            out += (_encode_varint(len(value)) if wire == BYTES else b"") + value
    return bytes(out)


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_piece(piece: Piece) -> bytes:
    """A SentencePiece message, as the trainer writes it: without the type if it is NORMAL."""
    message = [Field(1, BYTES, piece.text.encode()), Field(2, FIXED32, struct.pack("<f", piece.score))]
    if piece.type != NORMAL:
        message.append(Field(3, VARINT, piece.type))
    return encode(message)


def decode_piece(message: bytes) -> Piece:
    return _plain_piece(message) or _any_piece(message)


def _plain_piece(message: bytes) -> Piece | None:
    """A piece laid out as by `encode_piece`, as nearly all are: reading field by field would be slow."""
    end = 2 + message[1] if len(message) > 1 and message[1] < 128 else len(message)
    if message[:1] != b"\x0a" or message[end : end + 1] != b"\x15" or len(message) not in (end + 5, end + 7):
        return None
    kind = message[end + 5 :]
    if kind and (kind[0] != 24 or kind[1] > 127):
        return None
    (score,) = _FLOAT.unpack_from(message, end + 1)
    return Piece(message[2:end].decode(), score, kind[1] if kind else NORMAL)


def _any_piece(message: bytes) -> Piece:
    found = {number: value for number, _, value in fields(message)}
    (score,) = _FLOAT.unpack(_bytes(found.get(2, bytes(4))))
    return Piece(_bytes(found.get(1, b"")).decode(), score, _int(found.get(3, NORMAL)))


def without_pieces(model: bytes, ids: Collection[int]) -> bytes:
    """The same model, but text never yields these ids."""
    top, number = [], 0
    for field in fields(model):
        if field.number == PIECES and isinstance(field.value, bytes):
            if number in ids:
                field = field._replace(value=encode_piece(decode_piece(field.value)._replace(type=UNUSED)))
            number += 1
        top.append(field)
    return encode(top)


@lru_cache(maxsize=4)
def read_model(data: bytes, name: str) -> SentencePieceModel:
    """Raises DamagedFile, naming `name`, if `data` isn't a complete SentencePiece model."""
    try:
        top = list(fields(data))
        pieces = [decode_piece(_bytes(value)) for number, _, value in top if number == PIECES]
        trainer = _last(top, TRAINER_SPEC)
        normalizer = _last(top, NORMALIZER_SPEC)
        return SentencePieceModel(
            pieces=pieces,
            model_type=_int(trainer.get(3, UNIGRAM)),
            whitespace_as_suffix=bool(trainer.get(24, 0)),
            charsmap=_bytes(normalizer.get(2, b"")),
            dummy_prefix=bool(normalizer.get(3, 1)),
            collapses_spaces=bool(normalizer.get(4, 1)),
            escapes_spaces=bool(normalizer.get(5, 1)),
        )
    except (ValueError, LookupError, struct.error) as error:
        raise DamagedFile(f"{name} is not a whole SentencePiece model ({error}): copy or train it again") from None


def _last(top: list[Field], wanted: int) -> dict[int, int | bytes]:
    messages = [value for number, _, value in top if number == wanted]
    return {number: value for number, _, value in fields(_bytes(messages[-1]))}


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")
    return value


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number belongs")
    return value
