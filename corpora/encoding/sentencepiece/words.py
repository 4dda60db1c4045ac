"""Words for a SentencePiece model, normalised by a table, or by SentencePiece itself where the table can't decide."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.cached_words import Bytes, CachedWords, Offsets
from corpora.encoding.cache.word_symbols import BY_HAND, TOO_LONG, normalised


class Tables(NamedTuple):
    """table, runs, space: see `word_symbols.normalised`. symbols: the function from a normalised text to symbols."""

    processor: Any
    table: NDArray[np.int32]
    runs: NDArray[np.int32]
    space: int
    symbols: Callable[[str], NDArray[np.int32]]


class SentencePieceWords(CachedWords):
    """normalise: applied to a line before SentencePiece. keeps_spaces: whether the model keeps every space."""

    def __init__(
        self,
        dtype: np.dtype[np.unsignedinteger],
        tables: Tables,
        *,
        normalise: Callable[[str], str],
        keeps_spaces: bool,
        expansion: int,
        alone: bool,
        cache_bytes: int,
    ) -> None:
        super().__init__(dtype, expansion=expansion, alone=alone, cache_bytes=cache_bytes)
        self._tables, self._normalise, self._keeps_spaces = tables, normalise, keeps_spaces

    @abstractmethod
    def _settle(
        self, symbols: NDArray[np.int32], starts: Offsets, entries: NDArray[np.int64], pool_next: int, pool_end: int
    ) -> int:
        """Finds the values of the words `symbols[starts[w]:starts[w + 1]]`. Returns the pool's next free place."""

    def _fill(self, data: Bytes, part: slice, pool_next: int, pool_end: int) -> int:
        entries, words = self._fresh.entries[part], self._fresh.words[part]
        starts, why_slow = np.empty(len(entries) + 1, np.int64), np.empty(len(entries), np.uint8)
        how = (self._tables.table, self._tables.runs, self._tables.space, self._keeps_spaces)
        slow = normalised(data, self._words, words, *how, self._symbols, starts, why_slow)
        pool_next = self._settle(self._symbols, starts, entries, pool_next, pool_end)
        if not slow:
            return pool_next
        limits = self._cache.entries["limit"]
        limits[entries[why_slow == TOO_LONG]] = -1
        by_hand = np.flatnonzero(why_slow == BY_HAND)
        symbols, starts = self._normalised_by_hand(data, words[by_hand])
        if pool_next + len(symbols) > pool_end:
            limits[entries[by_hand]] = -1
            return pool_next
        return self._settle(symbols, starts, entries[by_hand], pool_next, pool_end)

    def _normalised_by_hand(self, data: Bytes, words: NDArray[np.int64]) -> tuple[NDArray[np.int32], Offsets]:
        spans = zip(self._words.starts[words].tolist(), self._words.lengths[words].tolist(), strict=True)
        raw = [data[start : start + length].tobytes().decode() for start, length in spans]
        texts: list[str] = self._tables.processor.normalize([self._normalise(text) for text in raw])
        starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return self._tables.symbols("".join(texts)), starts
