"""A tokenizer.json: the `tokenizers` library as the engine of record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.flat_encoder import FlatEncoder, Make, OfRecord
from corpora.encoding.flat import FlatIds, id_dtype
from corpora.encoding.sentinels import check_sentinel, find_sentinels
from corpora.encoding.special_ids import identity, special_ids
from corpora.encoding.tokenizer_folder import TokenizerConfig
from corpora.encoding.tokenizer_json import load_json, loading
from corpora.errors import BadArgument
from corpora.texts import Utf8


class JsonEncoder:
    """See Encoder. Special strings are encoded as text, unless the model's vocabulary contains them."""

    def __init__(self, data: bytes, config: TokenizerConfig, path: str = "tokenizer.json") -> None:
        from tokenizers import __version__

        loaded = load_json(data, config, path)
        self._data, self._config, self._path = data, config, path
        self.data = loaded.data  # a tokenizer.json with all tokens of this encoder
        self._tokenizer, self._vocabulary = loaded.tokenizer, loaded.vocabulary
        self.vocab_size: int = max(loaded.vocabulary.values()) + 1  # ids may have gaps
        found = special_ids(config, self._id)
        self.eos_id, self.bos_id, self.unk_id = found.eos, found.bos, found.unk
        self.pad_id: int = found.pad or 0
        self._sentinels = find_sentinels(loaded.vocabulary)
        self.num_sentinels = len(self._sentinels)
        record, dtype = partial(_encode, self._tokenizer, path), id_dtype(self.vocab_size)
        ways = [partial(way, loaded.data, record, dtype) for way in (_words, _fastokens)]
        self._flat = FlatEncoder(f"tokenizers {__version__}", record, dtype, ways)
        self.sha256 = identity(loaded.data if loaded.grown else data, config, self._id)

    def __reduce__(self) -> tuple[type[JsonEncoder], tuple[bytes, TokenizerConfig, str]]:
        return type(self), (self._data, self._config, self._path)

    def _id(self, token: str) -> int | None:
        return self._vocabulary.get(token)

    def sentinel_id(self, number: int) -> int:
        check_sentinel(number, self.num_sentinels)
        return self._sentinels[number]

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        return _encode(self._tokenizer, self._path, texts)

    def encode_flat(self, texts: Utf8) -> FlatIds:
        return self._flat.encode(texts)

    @property
    def engine(self) -> str:
        return self._flat.engine

    def id_to_piece(self, number: int) -> str:
        if not 0 <= number < self.vocab_size:
            raise BadArgument(f"id {number} has no piece: vocab_size is {self.vocab_size}")
        piece: str | None = self._tokenizer.id_to_token(number)
        return piece or ""  # a vocabulary may leave ids out

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        kept = [n for n in map(int, ids) if n not in (self.pad_id, self.eos_id)]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        return text


def _encode(tokenizer: Any, path: str, texts: list[str]) -> list[NDArray[np.int32]]:
    with loading(path):
        found = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [np.array(encoding.ids, np.int32) for encoding in found]


def _fastokens(data: bytes, record: OfRecord, dtype: np.dtype[np.unsignedinteger]) -> Make | None:
    """A function that makes Fastokens: one for all threads."""
    from corpora.encoding.gpt2.fast_bpe import fastokens

    del record
    shared = fastokens(data, dtype)
    return None if shared is None else lambda _: shared


def _words(data: bytes, record: OfRecord, dtype: np.dtype[np.unsignedinteger]) -> Make | None:
    """A function that makes a word cache for this file; None if its ids would not be exact."""
    from corpora.encoding.gpt2 import byte_level_bpe

    if byte_level_bpe.why_not(data) is not None:
        return None
    return lambda cache_bytes: byte_level_bpe.ByteLevelBpe(data, dtype, record, cache_bytes)
