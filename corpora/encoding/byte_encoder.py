"""ByT5's bytes: pad 0, eos 1, unk 2, byte b is b + 3."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.flat import FlatIds
from corpora.encoding.sentinels import check_sentinel, sentinel_name
from corpora.errors import BadArgument
from corpora.texts import Utf8

OFFSET = 3
BYTE_IDS = OFFSET + 256
CONTINUATION_IDS = range(OFFSET + 0x80, OFFSET + 0xC0)  # bytes inside a character, never its first
# google's weights use 258, 257, ... as sentinels: bytes 0xFF to 0xF5, which UTF-8 never contains. Eleven are free.
# (google/seqio ByteVocabulary(extra_ids=0); huggingface/transformers#16303)
GOOGLE_SENTINELS = 11
GOOGLE_VOCAB_SIZE = 384  # rows in the embedding of google/byt5-*


class ByteEncoder:
    """See Encoder. Sentinels are numbered as in transformers' ByT5Tokenizer: `<extra_id_0>` is 259, the next 260, ...

    google: use the convention of google's weights instead: 384 ids, sentinel k is 258 - k.
    """

    bos_id: int | None = None
    eos_id: int | None = 1
    pad_id = 0
    unk_id: int | None = 2
    engine = "bytes"

    def __init__(self, extra_ids: int = 0, *, google: bool = False) -> None:
        self.google = google
        self.vocab_size = GOOGLE_VOCAB_SIZE if google else BYTE_IDS + extra_ids
        self.num_sentinels = GOOGLE_SENTINELS if google else extra_ids
        self._first_sentinel, self._step = (BYTE_IDS - 1, -1) if google else (BYTE_IDS, 1)
        facts = f"bytes {self.vocab_size} {self.num_sentinels} {self._first_sentinel}"  # there is no file
        self.sha256 = hashlib.sha256(facts.encode()).hexdigest()

    def sentinel_id(self, number: int) -> int:
        check_sentinel(number, self.num_sentinels)
        return self._first_sentinel + number * self._step

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) + OFFSET for text in texts]

    def encode_flat(self, texts: Utf8) -> FlatIds:
        start, stop = texts.offsets[0], texts.offsets[-1]
        return FlatIds(texts.data[start:stop].astype(np.uint16) + np.uint16(OFFSET), texts.offsets - start)

    def id_to_piece(self, number: int) -> str:
        if not 0 <= number < self.vocab_size:
            raise BadArgument(f"id {number} is not below vocab_size {self.vocab_size}")
        if (sentinel := self._sentinel(number)) is not None:
            return sentinel_name(sentinel)
        if number < OFFSET:
            return ("<pad>", "</s>", "<unk>")[number]
        byte = number - OFFSET
        return chr(byte) if 32 < byte < 127 else f"<0x{byte:02X}>"

    def _sentinel(self, number: int) -> int | None:
        sentinel = (number - self._first_sentinel) * self._step
        return sentinel if 0 <= sentinel < self.num_sentinels else None

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        parts = []
        for sentinel, run in groupby(map(int, ids), key=self._sentinel):
            if sentinel is None:
                found = bytes(number - OFFSET for number in run if OFFSET <= number < BYTE_IDS)
                parts.append(found.decode(errors="replace"))
            else:
                parts += [sentinel_name(sentinel)] * len(list(run))
        return "".join(parts)
