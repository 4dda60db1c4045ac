"""A tokenizer.json: the `tokenizers` library as the engine of record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.flat_encoder import FlatEncoder, Make
from corpora.encoding.flat import FlatIds, id_dtype
from corpora.encoding.sentinels import check_sentinel, sentinel_name
from corpora.encoding.special_ids import USUAL_EOS, identity, special_ids
from corpora.encoding.tokenizer_folder import TokenizerConfig, name
from corpora.errors import BadArgument, DamagedFile
from corpora.texts import Utf8


class JsonEncoder:
    """See Encoder. Special strings are encoded as text, unless the model's vocabulary contains them."""

    def __init__(self, data: bytes, config: TokenizerConfig, path: str = "tokenizer.json") -> None:
        from tokenizers import Tokenizer, __version__

        self._data, self._config, self._path = data, config, path
        try:
            self._tokenizer = Tokenizer.from_str(data.decode())
        except Exception as error:  # tokenizers raises plain Exception
            raise DamagedFile(f"tokenizers can't load {path} ({error}): copy or train it again") from None
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        self.vocab_size: int = max(ids, default=-1) + 1  # ids may have gaps
        found = special_ids(config, self._id)
        if found.eos is None:
            named = name(config.eos_token)
            why = f"none of {', '.join(USUAL_EOS)} has an id" if named is None else f"eos_token {named!r} has no id"
            raise BadArgument(f"{path}: {why}: set eos_token in the tokenizer_config.json beside it")
        self.eos_id, self.bos_id, self.unk_id = found.eos, found.bos, found.unk
        self.pad_id: int = found.eos if found.pad is None else found.pad
        self.num_sentinels = config.num_sentinels
        self._flat = FlatEncoder(
            f"tokenizers {__version__}",
            partial(_encode, self._tokenizer),
            id_dtype(self.vocab_size),
            [partial(way, data, self._tokenizer, id_dtype(self.vocab_size)) for way in (_words, _fastokens)],
        )
        self.sha256 = identity(data, config, self._id)

    def __reduce__(self) -> tuple[type[JsonEncoder], tuple[bytes, TokenizerConfig, str]]:
        return type(self), (self._data, self._config, self._path)

    def _id(self, token: str) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def sentinel_id(self, number: int) -> int:
        check_sentinel(number, self.num_sentinels)
        found = self._id(sentinel_name(number))
        if found is None:
            raise BadArgument(
                f"{self._path} has no {sentinel_name(number)}, although tokenizer_config.json declares it"
            )
        return found

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        return _encode(self._tokenizer, texts)

    def encode_flat(self, texts: Utf8) -> FlatIds:
        return self._flat.encode(texts)

    @property
    def engine(self) -> str:
        return self._flat.engine

    def id_to_piece(self, number: int) -> str:
        piece: str | None = self._tokenizer.id_to_token(number) if number >= 0 else None
        if piece is None:
            raise BadArgument(f"id {number} has no piece: vocab_size is {self.vocab_size}")
        return piece

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        kept = [n for n in map(int, ids) if n not in (self.pad_id, self.eos_id)]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        return text


def _encode(tokenizer: Any, texts: list[str]) -> list[NDArray[np.int32]]:
    found = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [np.array(encoding.ids, np.int32) for encoding in found]


def _fastokens(data: bytes, tokenizer: Any, dtype: np.dtype[np.unsignedinteger]) -> Make | None:
    """A function that makes Fastokens: one for all threads."""
    from corpora.encoding.gpt2.fast_bpe import fastokens

    del tokenizer
    shared = fastokens(data, dtype)
    return None if shared is None else lambda _: shared


def _words(data: bytes, tokenizer: Any, dtype: np.dtype[np.unsignedinteger]) -> Make | None:
    """A function that makes a word cache for this file; None if its ids would not be exact."""
    from corpora.encoding.gpt2 import byte_level_bpe

    if byte_level_bpe.why_not(data) is not None:
        return None
    record = partial(_encode, tokenizer)
    return lambda cache_bytes: byte_level_bpe.ByteLevelBpe(data, dtype, record, cache_bytes)
