"""Byte-level BPE with fastokens (Apache-2.0, Rust), for any word pattern: many times as fast as `tokenizers`.

It is a young library, so `FlatEncoder` checks it against `tokenizers` before using it. Its word cache is bounded. It
takes strings. It is faster than `byte_level_bpe` on new words, and slower where words repeat.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

import numpy as np

from corpora.encoding.flat import FlatIds
from corpora.texts import Utf8

_AT_ONCE = 150  # texts, so that their ids stay in the processor's cache


class Fastokens:
    """Threads may share one; it releases the GIL while it encodes. `data`: a tokenizer.json.

    Raises ImportError if fastokens isn't installed, ValueError if it doesn't support the file.
    """

    seldom_serve = slower_than_next = False

    def __init__(self, data: bytes, dtype: np.dtype[np.unsignedinteger]) -> None:
        # Beam starts the threads, not fastokens, which reads this variable when it loads.
        os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
        from fastokens import Tokenizer

        self.engine = f"fastokens {version('fastokens')}"
        self._dtype = dtype
        self._tokenizer: Any = Tokenizer.from_json_str(data.decode())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode_flat(self, texts: Utf8) -> FlatIds:
        """Literal special strings are text. Raises ValueError if a regular expression takes too long."""
        strings = texts.strings
        parts = [self._encoded(strings[i : i + _AT_ONCE]) for i in range(0, len(strings), _AT_ONCE)]
        ids = np.concatenate([np.empty(0, self._dtype), *(ids for ids, _ in parts)])
        ends = np.cumsum([0, *(len(ids) for ids, _ in parts)])
        offsets = [offsets[1:] + end for (_, offsets), end in zip(parts, ends[:-1], strict=True)]
        return FlatIds(ids, np.concatenate([np.zeros(1, np.int64), *offsets]))

    def _encoded(self, strings: list[str]) -> FlatIds:
        ids, offsets = self._tokenizer.encode_batch_flat(strings, False, True)
        found = np.frombuffer(ids, "<u4").astype(self._dtype)
        return FlatIds(found, np.frombuffer(offsets, "<u8").astype(np.int64))


def fastokens(data: bytes, dtype: np.dtype[np.unsignedinteger]) -> Fastokens | None:
    """None if it isn't installed, or doesn't support the file."""
    try:
        return Fastokens(data, dtype)
    except (ImportError, ValueError):
        return None
