"""Ids for people to read: pieces, whole characters, special ids marked, source and target put together again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from corpora.encoding import Encoder
from corpora.encoding.byte_encoder import BYTE_IDS, OFFSET, ByteEncoder
from corpora.encoding.sentinels import sentinel_name

JOINT = "·"  # between pieces of one word
Kind = Literal["text", "target", "sentinel", "special", "border", "joint", "broken"]
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PRINTABLE = {*range(33, 127), *range(161, 173), *range(174, 256)}


class Segment(NamedTuple):
    """Text in one style. target: a masked span. joint: the mark between pieces. broken: an incomplete character."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Vocabulary:
    """Ids that aren't text. sentinels: their ids, `<extra_id_0>` first. pieces: the tokenizer's names."""

    pad_id: int
    eos_id: int | None
    bos_id: int | None = None
    unk_id: int | None = None
    sentinels: Sequence[int] = ()
    pieces: Mapping[int, str] = field(default_factory=dict)
    number: dict[int, int] = field(init=False, repr=False)  # sentinel id -> its number

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", {token: k for k, token in enumerate(self.sentinels)})

    def name(self, token: int | None) -> str | None:
        """The name of a special id; None for text."""
        if token is not None and token in self.number:
            return sentinel_name(self.number[token])
        names = {self.unk_id: "<unk>", self.bos_id: "<s>", self.pad_id: "<pad>", self.eos_id: "</s>"}
        return None if token is None or token not in names else self.pieces.get(token, names[token])


class Reader:
    """Ids -> segments. Without an encoder, ids are shown as numbers."""

    def __init__(self, vocabulary: Vocabulary, encoder: Encoder | None = None) -> None:
        self.vocabulary = vocabulary
        self._surface = surfaces(encoder) if encoder else None
        self._joint = "" if isinstance(encoder, ByteEncoder) else JOINT

    def read(self, ids: Iterable[int], kind: Kind = "text") -> list[Segment]:
        """Segments of one kind, with special ids and joints among them."""
        segments: list[Segment] = []
        run: list[int] = []
        for token in map(int, ids):
            name = self.vocabulary.name(token)
            if name is None:
                run.append(token)
                continue
            segments += self._text(run, kind)
            segments.append(Segment(name, "sentinel" if token in self.vocabulary.number else "special"))
            run = []
        return segments + self._text(run, kind)

    def _text(self, run: Sequence[int], kind: Kind) -> list[Segment]:
        if self._surface is None:
            return [Segment("".join(f" {token}" for token in run), kind)] if run else []
        segments: list[Segment] = []
        for unit in _units(map(self._surface, run)):
            apart = not segments or segments[-1].text.endswith("\n") or unit[0].text.startswith(" ")
            if self._joint and not apart:
                segments.append(Segment(self._joint, "joint"))
            segments += [Segment(s.text, kind if s.kind == "text" else s.kind) for s in unit]
        return segments


def _units(tokens: Iterable[bytes]) -> Iterator[list[Segment]]:
    """Units of one token, or of several that are whole characters only together."""
    held = b""
    for token in tokens:
        held += token
        if not _unfinished(held):
            yield _decode(held)
            held = b""
    if held:
        yield _decode(held)


def _unfinished(data: bytes) -> bool:
    """Whether the bytes end inside a character."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return not data


def _decode(data: bytes) -> list[Segment]:
    """Printable characters; bytes that aren't part of a whole character as `<0xE1>`."""
    segments: list[Segment] = []
    while data:
        try:
            segments.append(Segment(visible(data.decode()), "text"))
            break
        except UnicodeDecodeError as error:
            if error.start:
                segments.append(Segment(visible(data[: error.start].decode()), "text"))
            bad = data[error.start : error.end]
            segments.append(Segment("".join(f"<0x{byte:02X}>" for byte in bad), "broken"))
            data = data[error.end :]
    return segments


def visible(text: str) -> str:
    """Shows a newline as a mark and a newline, and control characters, which could confuse a terminal, by number."""
    shown = (c if c.isprintable() else "↵\n" if c == "\n" else f"<U+{ord(c):04X}>" for c in text)
    return "".join(shown)


def surfaces(encoder: Encoder) -> Callable[[int], bytes]:
    """The bytes that an id stands for, however the tokenizer spells spaces and bytes."""
    if isinstance(encoder, ByteEncoder):
        return lambda token: bytes([token - OFFSET]) if OFFSET <= token < BYTE_IDS else b""
    pieces = [encoder.id_to_piece(n) for n in range(encoder.vocab_size)]
    if any(piece.startswith("▁") for piece in pieces):
        return lambda token: _spelled(pieces[token])
    if any(piece.startswith("Ġ") for piece in pieces):
        letters = byte_letters()
        return lambda token: _byte_level(pieces[token], letters)
    return lambda token: pieces[token].encode()


def _spelled(piece: str) -> bytes:
    """SentencePiece: `▁` is a space, `<0xE1>` is a byte."""
    byte = _BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()


def _byte_level(piece: str, letters: dict[str, int]) -> bytes:
    """Byte-level BPE: each character of a piece stands for a byte; an added token stands for itself."""
    if all(c in letters for c in piece):
        return bytes(letters[c] for c in piece)
    return piece.encode()


def byte_letters() -> dict[str, int]:
    """The byte that each printable character stands for. Source: openai/gpt-2 src/encoder.py bytes_to_unicode."""
    substitutes = iter(range(256, 512))
    return {chr(byte if byte in _PRINTABLE else next(substitutes)): byte for byte in range(256)}


class Chunk(NamedTuple):
    """Unmasked ids (sentinel None), or the ids that a sentinel stands for (None if the labels lack it)."""

    ids: list[int] | None
    sentinel: int | None = None


class Reassembled(NamedTuple):
    """A corrupted row put together again. chunks: in the text's order, without the EOS that ends the row.

    input_length, label_length: without padding. unplaced: sentinels of the labels that the input lacks.
    """

    chunks: list[Chunk]
    input_length: int
    label_length: int
    unplaced: list[int]


def reassemble(input_ids: Sequence[int], labels: Sequence[int], vocabulary: Vocabulary) -> Reassembled:
    """Source and target of span corruption (T5, UL2): each sentinel's target in its place."""
    source, target = (_without_padding([int(t) for t in ids], vocabulary) for ids in (input_ids, labels))
    spans = _spans(_without_end(target, vocabulary), vocabulary)
    chunks: list[Chunk] = []
    plain: list[int] = []
    for token in _without_end(source, vocabulary):
        if token not in vocabulary.number:
            plain.append(token)
            continue
        chunks += [Chunk(plain)] if plain else []
        chunks.append(Chunk(spans.pop(token, None), token))
        plain = []
    chunks += [Chunk(plain)] if plain else []
    return Reassembled(chunks, len(source), len(target), list(spans))


def _without_padding(ids: list[int], vocabulary: Vocabulary) -> list[int]:
    """If pad and EOS are the same id, one EOS stays."""
    end = len(ids)
    while end and ids[end - 1] == vocabulary.pad_id:
        end -= 1
    if vocabulary.pad_id == vocabulary.eos_id:
        end = min(end + 1, len(ids))
    return ids[:end]


def _without_end(ids: list[int], vocabulary: Vocabulary) -> list[int]:
    return ids[:-1] if ids and ids[-1] == vocabulary.eos_id else ids


def _spans(target: Sequence[int], vocabulary: Vocabulary) -> dict[int, list[int]]:
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in target:
        if token in vocabulary.number:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return spans
