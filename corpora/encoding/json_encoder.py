"""A folder with only tokenizer.json: the `tokenizers` library as the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.flat import FlatIds, Utf8, flat_ids, id_dtype, texts_of
from corpora.encoding.sentinels import check_sentinel, sentinel_name
from corpora.encoding.tokenizer_folder import TokenizerConfig, name
from corpora.errors import BadArgument, DamagedFile


class JsonEncoder:
    """See Encoder. Special strings are encoded as text, unless the model's own vocabulary spells them."""

    def __init__(self, data: bytes, config: TokenizerConfig, path: str = "tokenizer.json") -> None:
        from tokenizers import Tokenizer

        self._data, self._config, self._path = data, config, path
        try:
            self._tokenizer = Tokenizer.from_str(data.decode())
        except Exception as error:  # tokenizers raises the bare class
            raise DamagedFile(f"tokenizers can't load {path} ({error}): copy or train it again") from None
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocab_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self._check_ids()
        self.bos_id = self._id(name(config.bos_token))
        self.eos_id = self._required(name(config.eos_token))
        pad = self._id(name(config.pad_token))
        self.pad_id = self.eos_id if pad is None else pad
        self.unk_id = self._id(name(config.unk_token))
        self.num_sentinels = config.num_sentinels
        self.sha256 = hashlib.sha256(data).hexdigest()

    def __reduce__(self) -> tuple[type[JsonEncoder], tuple[bytes, TokenizerConfig, str]]:
        return type(self), (self._data, self._config, self._path)

    def _check_ids(self) -> None:
        highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if highest != self.vocab_size - 1:
            raise DamagedFile(
                f"{self._path} has {self.vocab_size} tokens, but ids up to {highest}: number them from 0 without gaps"
            )

    def _id(self, token: str | None) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token) if token is not None else None
        return found

    def _required(self, token: str | None) -> int:
        found = self._id(token)
        if found is None:
            raise BadArgument(f"{self._path}: eos_token {token!r} has no id: name it in tokenizer_config.json")
        return found

    def sentinel_id(self, number: int) -> int:
        check_sentinel(number, self.num_sentinels)
        return self._required(sentinel_name(number))

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in found]

    def encode_flat(self, texts: Utf8) -> FlatIds:
        return flat_ids(self.encode_batch(texts_of(texts)), id_dtype(self.vocab_size))

    def id_to_piece(self, number: int) -> str:
        piece: str | None = self._tokenizer.id_to_token(number) if number >= 0 else None
        if piece is None:
            raise BadArgument(f"id {number} has no piece: vocab_size is {self.vocab_size}")
        return piece

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        kept = [n for n in map(int, ids) if n not in (self.pad_id, self.eos_id)]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        return text
