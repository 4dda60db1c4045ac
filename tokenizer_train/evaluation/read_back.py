"""Decodes the ids of many documents at once, and normalises text as the tokenizer does; one class per engine."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from corpora.encoding import Encoder
from corpora.encoding.byte_encoder import OFFSET, ByteEncoder
from corpora.encoding.flat import FlatIds
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece.model_proto import read_model
from corpora.encoding.tokenizer_folder import read_file

SPACE = "▁"
_BEFORE_SPACE = re.compile(f"(?={SPACE})")


class ReadBack(Protocol):
    """Decodes ids, and normalises texts to what they should decode to."""

    def decode(self, ids: FlatIds) -> list[str]:
        """As Encoder.decode, for many texts."""
        ...

    def normalise(self, texts: list[str]) -> list[str]:
        """The texts after the tokenizer's normaliser, with plain spaces and without an added first space."""
        ...


def read_back(path_or_name: str, encoder: Encoder) -> ReadBack:
    """The reader for a tokenizer that load_encoder takes."""
    path = Path(path_or_name)
    if isinstance(encoder, ByteEncoder):
        return ByteText()
    if path.is_file() and path.suffix != ".json":
        return SentencePieceText(read_file(path), str(path))
    if path.is_dir():
        if (path / "spiece.model").is_file() and not isinstance(encoder, JsonEncoder):
            return SentencePieceText(read_file(path / "spiece.model"), str(path / "spiece.model"))
        path = path / "tokenizer.json"
    if path.is_file() and isinstance(encoder, JsonEncoder):
        return JsonText(encoder.data, encoder)
    return PlainText(encoder)


class SentencePieceText:
    """With the sentencepiece library."""

    def __init__(self, model: bytes, name: str) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._dummy_prefix = read_model(model, name).dummy_prefix
        self._suffix = read_model(model, name).whitespace_as_suffix

    def decode(self, ids: FlatIds) -> list[str]:
        parts = [ids.ids[a:b].tolist() for a, b in pairwise(ids.offsets.tolist())]
        found: list[str] = self._processor.decode(parts)
        return found

    def normalise(self, texts: list[str]) -> list[str]:
        normalised = [text.replace(SPACE, " ") for text in self._processor.normalize(texts)]
        if not self._dummy_prefix:
            return normalised
        return [t.removesuffix(" ") if self._suffix else t.removeprefix(" ") for t in normalised]


class JsonText:
    """With the `tokenizers` library. If the normaliser writes spaces differently, the decoder undoes that."""

    def __init__(self, data: bytes, encoder: Encoder) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_str(data.decode())
        self._left_out = [encoder.pad_id, *([] if encoder.eos_id is None else [encoder.eos_id])]
        normalizer = self._tokenizer.normalizer
        self._escapes = normalizer is not None and SPACE in normalizer.normalize_str("a a")

    def decode(self, ids: FlatIds) -> list[str]:
        left_out = np.isin(ids.ids, self._left_out)
        parts = [ids.ids[a:b][~left_out[a:b]].tolist() for a, b in pairwise(ids.offsets.tolist())]
        found: list[str] = self._tokenizer.decode_batch(parts, skip_special_tokens=False)
        return found

    def normalise(self, texts: list[str]) -> list[str]:
        normalizer = self._tokenizer.normalizer
        if normalizer is None:
            return texts
        normalised = [normalizer.normalize_str(text) for text in texts]
        if not self._escapes:
            return normalised
        decoder = self._tokenizer.decoder
        return [decoder.decode([part for part in _BEFORE_SPACE.split(text) if part]) for text in normalised]


class ByteText:
    """ByT5's bytes. Text yields no other ids."""

    def decode(self, ids: FlatIds) -> list[str]:
        data = (ids.ids - OFFSET).astype(np.uint8).tobytes()
        return [data[a:b].decode(errors="replace") for a, b in pairwise(ids.offsets.tolist())]

    def normalise(self, texts: list[str]) -> list[str]:
        return texts


class PlainText:
    """No normaliser."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def decode(self, ids: FlatIds) -> list[str]:
        return [self._encoder.decode(ids.ids[a:b].astype(np.int32)) for a, b in pairwise(ids.offsets.tolist())]

    def normalise(self, texts: list[str]) -> list[str]:
        return texts
