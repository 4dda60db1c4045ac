"""Texts to values (ids, pieces) with a cache of words: the loop that unigram and BPE models share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.word_cache import (
    LONGEST_CACHED,
    SLOT,
    Fresh,
    LineEnds,
    Words,
    keep,
    look_up,
    new_cache,
    power_of_two,
)
from corpora.encoding.cache.word_symbols import LONGEST_WORD
from corpora.encoding.cache.word_values import WRITTEN, count_pieces, expand
from corpora.encoding.flat import FlatIds
from corpora.texts import Utf8, read_only

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
ByEngine = Callable[[list[str]], Iterable[NDArray[np.integer]]]
_LONG_BYTES = 120  # memory of a word with an entry: two table cells, the entry, 32 bytes of text, 8 pieces
_MOST_WORDS = 1 << 15  # words in a block
_BYTES_A_WORD = 8  # bytes in a block for each word that it can hold
_TOO_MUCH_AGAIN = 0.45  # above this share of re-encoded text, the engine alone is faster
_BATCH_BYTES = 1 << 20  # lines that the engine encodes in one call


class Lines(NamedTuple):
    """Line l's values are `values[offsets[l]:offsets[l + 1]]`; document d has `lines_per_document[d]` lines."""

    values: NDArray[Any]  # has the subclass's dtype
    offsets: Offsets
    lines_per_document: NDArray[np.int64]


class _Block(NamedTuple):
    """A block's values, where its lines end among them, and (line, first byte, end) of each unsafe line."""

    values: NDArray[Any]
    line_ends: Offsets
    unsafe: NDArray[np.int64]


class CachedWords(ABC):
    """Serves one thread at a time. A subclass defines what a word is (`_cut`), and its values (`_fill`).

    dtype: of the values. expansion: the most symbols that a byte of text becomes. alone: whether a word's values
    never depend on the text before it in the line. cache_bytes bounds the cache, which is emptied when it is full.
    The buffers for a block of text reserve another 50 MB, of which ordinary text touches only a few.
    """

    engine, slower_than_next = "word cache", False

    def __init__(self, dtype: np.dtype[np.unsignedinteger], *, expansion: int, alone: bool, cache_bytes: int) -> None:
        self._dtype, self._alone = dtype, alone
        slots = power_of_two(2 * cache_bytes // 3 // (8 * SLOT), 10)
        long = power_of_two(cache_bytes // 3 // _LONG_BYTES, 10)
        words = min(_MOST_WORDS, slots // 4, long // 4)
        self._most_bytes = words * _BYTES_A_WORD
        most_symbols = expansion * (self._most_bytes + LONGEST_WORD) + 2 * words
        self._cache = new_cache(slots, long, words, max(32 * long, 4 * self._most_bytes))
        self._cached_pieces = max(8 * long, 2 * most_symbols)
        self._pool_end = self._cached_pieces + 2 * most_symbols
        self._pool = np.empty(self._pool_end + WRITTEN, np.uint32)
        self._pool_next = 0
        places = [np.empty(words, np.int64) for _ in range(8)]
        self._words = Words(places[0], places[1], np.empty(words, np.uint64), places[2])
        self._line_ends, self._fresh = LineEnds(*places[3:6]), Fresh(*places[6:])
        self._symbols = np.empty(most_symbols, np.int32)
        self._bytes_seen = self._bytes_again = 0

    @property
    def seldom_serve(self) -> bool:
        """Whether the engine alone would be faster, because it has encoded nearly half of the text anyway."""
        return self._bytes_seen > _BATCH_BYTES and self._bytes_again > _TOO_MUCH_AGAIN * self._bytes_seen

    @abstractmethod
    def _cut(
        self, data: Bytes, offsets: Offsets, state: NDArray[np.int64], lines_of: NDArray[np.int64]
    ) -> tuple[int, int]:
        """Cuts a block into `_words` and `_line_ends`. Returns how many of each. See `word_scans`."""

    @abstractmethod
    def _fill(self, data: Bytes, part: slice, pool_next: int, pool_end: int) -> int:
        """Finds the values of the new words `_fresh[part]`, from `_pool[pool_next]` on. Returns the next free place.

        A word without values gets limit -1: the engine then encodes its line.
        """

    @abstractmethod
    def _by_engine(self, texts: list[str]) -> Iterable[NDArray[np.integer]]:
        """The values of whole lines."""

    def encode(self, data: Bytes, offsets: Offsets) -> Lines:
        """Document d is `data[offsets[d]:offsets[d + 1]]`, which must be valid UTF-8. Takes 10 times its memory."""
        data, offsets = read_only(data), read_only(offsets)
        lines_of = np.zeros(len(offsets) - 1, np.int64)
        values, ends, unsafe = [np.empty(0, self._dtype)], [np.zeros(1, np.int64)], [np.empty((0, 3), np.int64)]
        written = lines = 0
        for block in self._blocks(data, offsets, lines_of):
            values.append(block.values)
            ends.append(block.line_ends + written)
            unsafe.append(block.unsafe + np.array([lines, 0, 0]))
            written += len(block.values)
            lines += len(block.line_ends)
        found = Lines(np.concatenate(values), np.concatenate(ends), lines_of)
        values.clear()
        self._bytes_seen += int(offsets[-1] - offsets[0])
        return self._encoded_again(found, data, np.concatenate(unsafe))

    def encode_flat(self, texts: Utf8) -> FlatIds:
        """For subclasses in which a line is a document."""
        lines = self.encode(texts.data, texts.offsets)
        return FlatIds(lines.values, lines.offsets)

    def _blocks(self, data: Bytes, offsets: Offsets, lines_of: NDArray[np.int64]) -> Iterator[_Block]:
        state = np.array([0, offsets[0], offsets[0]], np.int64)
        carried = np.zeros(3)
        while state[0] < len(lines_of):
            self._make_room()
            words, lines = self._cut(data, offsets, state, lines_of)
            new, passing = look_up(data, self._words, words, self._cache, self._fresh)
            if new:
                self._pool_next = self._fill(data, slice(0, new), self._pool_next, self._cached_pieces)
            if passing:
                self._fill(data, slice(-passing, None), self._cached_pieces, self._pool_end)
                to = (self._pool, self._pool_next, self._cached_pieces)
                self._pool_next = keep(self._words, self._cache, self._fresh, passing, *to)
            yield self._expanded(words, lines, carried)

    def _make_room(self) -> None:
        """Empties the cache if a block might not fit."""
        entries, text, slots = self._cache.used.tolist()
        words = len(self._words.starts)
        if (
            entries + words > len(self._cache.table) // 2
            or slots + words > len(self._cache.slots) * 3 // 4
            or text + self._most_bytes + LONGEST_CACHED > len(self._cache.text)
            or self._pool_next + len(self._symbols) > self._cached_pieces
        ):
            self._cache.slots[:] = 0
            self._cache.table[:] = 0
            self._cache.used[:] = 0
            self._pool_next = 0

    def _expanded(self, words: int, lines: int, carried: NDArray[np.float64]) -> _Block:
        ends, unsafe = np.empty(lines, np.int64), np.empty(lines, np.int64)
        count = count_pieces(self._words, words, self._cache)
        values = np.empty(count + WRITTEN, self._dtype)
        of = (self._line_ends.words, self._cache, self._pool, self._alone)
        found = expand(self._words, words, *of, carried, values, ends, unsafe)
        rows = unsafe[:found]
        spans = (rows, self._line_ends.starts[rows], self._line_ends.stops[rows])
        return _Block(values[:count], ends, np.stack(spans, axis=1))

    def _encoded_again(self, lines: Lines, data: Bytes, unsafe: NDArray[np.int64]) -> Lines:
        """The lines, with the `unsafe` ones (rows of line, first byte, end) encoded again by the engine."""
        if not len(unsafe):
            return lines
        self._bytes_again += int(np.sum(unsafe[:, 2] - unsafe[:, 1]))
        parts, lengths, done = [], np.diff(lines.offsets), 0
        for (line, _, _), values in zip(unsafe.tolist(), self._in_batches(data, unsafe), strict=True):
            parts += [lines.values[done : lines.offsets[line]], values.astype(self._dtype, copy=False)]
            done = lines.offsets[line + 1]
            lengths[line] = len(values)
        parts.append(lines.values[done:])
        return Lines(np.concatenate(parts), np.concatenate(([0], np.cumsum(lengths))), lines.lines_per_document)

    def _in_batches(self, data: Bytes, spans: NDArray[np.int64]) -> Iterator[NDArray[np.integer]]:
        batch: list[str] = []
        size = 0
        for _, start, stop in spans.tolist():
            batch.append(data[start:stop].tobytes().decode())
            size += stop - start
            if size >= _BATCH_BYTES:
                yield from self._by_engine(batch)
                batch, size = [], 0
        yield from self._by_engine(batch)
