"""Text to the pieces of a SentencePiece unigram model, word by word: equal to SentencePiece on every line, but fast.

Pieces never reach over a space, so a word's pieces are kept in a cache. What SentencePiece decides by the score of
the line so far (near-ties, see `unigram_viterbi`) is left to SentencePiece, with the whole line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.code_points import SPACE, Normaliser, normalise_function
from corpora.encoding.unigram_engine import Engine, engine, why_not
from corpora.encoding.unigram_viterbi import best_pieces
from corpora.encoding.word_cache import (
    ENTRY,
    LONGEST_CACHED,
    Cache,
    Fresh,
    LineEnds,
    Words,
    count_pieces,
    expand,
    look_up,
    scan,
)
from corpora.encoding.word_symbols import BY_HAND, LONGEST_WORD, TOO_LONG, normalised
from corpora.errors import BadArgument

__all__ = ["DEFAULT_CACHE", "Lines", "WordPieces", "why_not"]

Number = TypeVar("Number", np.uint8, np.int64)
Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
UnknownValues = Callable[[list[bytes]], Sequence[int]]
DEFAULT_CACHE = 96 << 20  # bytes: a million words
_ENTRY_BYTES = 80  # two slots of the table, the entry, 16 bytes of text, 4 pieces
_MOST_WORDS = 1 << 15  # of a block
_BYTES_A_WORD = 8  # of a block, for each word that it can hold
_BATCH_BYTES = 1 << 20  # of lines that SentencePiece encodes in one call


class Lines(NamedTuple):
    """Line l's values are `values[offsets[l]:offsets[l + 1]]`; document d has `lines_per_document[d]` lines."""

    values: NDArray[np.uint32]
    offsets: Offsets
    lines_per_document: NDArray[np.int64]


class _Block(NamedTuple):
    """A block's values, where its lines end among them, and (line, first byte, end) of each that is not safe."""

    values: NDArray[np.uint32]
    line_ends: Offsets
    unsafe: NDArray[np.int64]


class WordPieces:
    """Serves one thread at a time; the tables are shared by all of the same model. Raises BadArgument, DamagedFile.

    normaliser: what each line goes through before SentencePiece. separators: b" " or b" \\n", between words.
    line_end: whether b"\\n" ends a line; else a document is one. values: uint32[pieces], what each is written as.
    unknown_values: what runs of unknown characters are written as, from their UTF-8, normalised. cache_bytes bounds
    what is kept of words seen; it is emptied when full. The block of text in work has another 50 MB reserved, of
    which ordinary text touches a few.
    """

    def __init__(
        self,
        model: bytes,
        *,
        normaliser: Normaliser,
        separators: bytes,
        line_end: bool,
        values: NDArray[np.uint32],
        unknown_values: UnknownValues,
        cache_bytes: int = DEFAULT_CACHE,
    ) -> None:
        if separators not in (b" ", b" \n"):
            raise BadArgument(f"separators {separators!r}: give b' ' or b' \\n'")
        self._engine: Engine = engine(model, normaliser)
        pieces: int = self._engine.processor.get_piece_size()
        if len(values) != pieces:
            raise BadArgument(f"{len(values)} values for {pieces} pieces: give one each")
        self._normalise = normalise_function(normaliser)
        self._values = np.ascontiguousarray(values, np.uint32)
        self._unknown_values = unknown_values
        self._newline = ord("\n") if line_end or b"\n" in separators else ord(" ")
        self._line_end = line_end
        self._space = self._engine.trie.symbols[SPACE]
        self._allocate(cache_bytes)

    def _allocate(self, cache_bytes: int) -> None:
        capacity = 1 << min(max(10, (cache_bytes // _ENTRY_BYTES).bit_length() - 1), 26)
        words = min(_MOST_WORDS, capacity // 4)
        self._most_bytes = words * _BYTES_A_WORD
        most_symbols = self._engine.expansion * (self._most_bytes + LONGEST_WORD) + 2 * words
        self._cache = Cache(
            np.zeros(2 * capacity, np.uint64),
            np.zeros(capacity + words, ENTRY),
            np.empty(max(16 * capacity, 4 * self._most_bytes), np.uint8),
            np.zeros(2, np.int64),
        )
        self._cached_pieces = max(4 * capacity, 2 * most_symbols)
        self._pool = np.empty(self._cached_pieces + 2 * most_symbols, np.uint32)
        self._pool_next = 0
        places = [np.empty(words, np.int64) for _ in range(8)]
        self._words = Words(places[0], places[1], np.empty(words, np.uint64), places[2])
        self._line_ends, self._fresh = LineEnds(*places[3:6]), Fresh(*places[6:])
        self._symbols = np.empty(most_symbols, np.int32)
        self._unknowns = np.empty((most_symbols // 2 + 1, 3), np.int64)

    def encode(self, data: Bytes, offsets: Offsets) -> Lines:
        """Document d is `data[offsets[d]:offsets[d + 1]]`, which must be valid UTF-8. Takes some 10 bytes a byte."""
        data, offsets = _read_only(data), _read_only(offsets)
        lines_of = np.zeros(len(offsets) - 1, np.int64)
        values, ends, unsafe = [np.empty(0, np.uint32)], [np.zeros(1, np.int64)], [np.empty((0, 3), np.int64)]
        written = lines = 0
        for block in self._blocks(data, offsets, lines_of):
            values.append(block.values)
            ends.append(block.line_ends + written)
            unsafe.append(block.unsafe + np.array([lines, 0, 0]))
            written += len(block.values)
            lines += len(block.line_ends)
        found = Lines(np.concatenate(values), np.concatenate(ends), lines_of)
        values.clear()
        return self._encoded_again(found, data, np.concatenate(unsafe))

    def _blocks(self, data: Bytes, offsets: Offsets, lines_of: NDArray[np.int64]) -> Iterator[_Block]:
        state = np.array([0, offsets[0], offsets[0]], np.int64)
        carried = np.zeros(3)
        how = (self._newline, self._line_end, self._most_bytes, self._words, self._line_ends, lines_of)
        while state[0] < len(lines_of):
            self._make_room()
            words, lines = scan(data, offsets, state, *how)
            new, passing = look_up(data, self._words, words, self._cache, self._fresh)
            if new:
                self._pool_next = self._fill(data, slice(0, new), self._pool_next, self._cached_pieces)
            if passing:
                self._fill(data, slice(-passing, None), self._cached_pieces, len(self._pool))
            yield self._expanded(words, lines, carried)

    def _make_room(self) -> None:
        """Empties the cache if a block might not fit."""
        entries, text = self._cache.used.tolist()
        if (
            entries + len(self._words.starts) > len(self._cache.table) // 2
            or text + self._most_bytes + LONGEST_CACHED > len(self._cache.text)
            or self._pool_next + len(self._symbols) > self._cached_pieces
        ):
            self._cache.table[:] = 0
            self._cache.used[:] = 0
            self._pool_next = 0

    def _fill(self, data: Bytes, part: slice, pool_next: int, pool_end: int) -> int:
        """Finds the pieces of new words. Returns the pool's next free place."""
        entries, words = self._fresh.entries[part], self._fresh.words[part]
        starts, why_slow = np.empty(len(entries) + 1, np.int64), np.empty(len(entries), np.uint8)
        tables = (self._engine.table, self._engine.runs, self._space)
        slow = normalised(data, self._words, words, *tables, self._symbols, starts, why_slow)
        pool_next = self._settle(self._symbols, starts, entries, pool_next)
        if not slow:
            return pool_next
        limits = self._cache.entries["limit"]
        limits[entries[why_slow == TOO_LONG]] = -1
        by_hand = np.flatnonzero(why_slow == BY_HAND)
        symbols, starts = self._normalised_by_hand(data, words[by_hand])
        if pool_next + len(symbols) > pool_end:
            limits[entries[by_hand]] = -1
            return pool_next
        return self._settle(symbols, starts, entries[by_hand], pool_next)

    def _normalised_by_hand(self, data: Bytes, words: NDArray[np.int64]) -> tuple[NDArray[np.int32], Offsets]:
        spans = zip(self._words.starts[words].tolist(), self._words.lengths[words].tolist(), strict=True)
        raw = [data[start : start + length].tobytes().decode() for start, length in spans]
        texts = self._engine.processor.normalize([self._normalise(text) for text in raw])
        starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return self._engine.symbols("".join(texts)), starts

    def _settle(self, symbols: NDArray[np.int32], starts: Offsets, entries: NDArray[np.int64], pool_next: int) -> int:
        if not len(entries):
            return pool_next
        if len(symbols) // 2 >= len(self._unknowns):
            self._unknowns = np.empty((len(symbols) // 2 + 1, 3), np.int64)
        engine = self._engine
        pool_next, runs = best_pieces(
            symbols, starts, entries, self._cache.entries, engine.trie.nodes, engine.scoring, self._values,
            self._pool, pool_next, self._unknowns,
        )  # fmt: skip
        if runs:
            unknown = self._unknowns[:runs]
            surfaces = [self._engine.text(symbols[first:end]).encode() for _, first, end in unknown.tolist()]
            self._pool[unknown[:, 0]] = self._unknown_values(surfaces)
        return pool_next

    def _expanded(self, words: int, lines: int, carried: NDArray[np.float64]) -> _Block:
        ends, unsafe = np.empty(lines, np.int64), np.empty(lines, np.int64)
        entries = self._cache.entries
        values = np.empty(count_pieces(self._words, words, entries), np.uint32)
        found = expand(self._words, words, self._line_ends.words, entries, self._pool, carried, values, ends, unsafe)
        rows = unsafe[:found]
        spans = (rows, self._line_ends.starts[rows], self._line_ends.stops[rows])
        return _Block(values, ends, np.stack(spans, axis=1))

    def _encoded_again(self, lines: Lines, data: Bytes, unsafe: NDArray[np.int64]) -> Lines:
        """The lines with the unsafe ones, rows of (line, first byte, end), encoded by SentencePiece."""
        if not len(unsafe):
            return lines
        parts, lengths, done = [], np.diff(lines.offsets), 0
        for (line, _, _), values in zip(unsafe.tolist(), self._by_sentencepiece(data, unsafe), strict=True):
            parts += [lines.values[done : lines.offsets[line]], values]
            done = lines.offsets[line + 1]
            lengths[line] = len(values)
        parts.append(lines.values[done:])
        return Lines(np.concatenate(parts), np.concatenate(([0], np.cumsum(lengths))), lines.lines_per_document)

    def _by_sentencepiece(self, data: Bytes, spans: NDArray[np.int64]) -> Iterator[NDArray[np.uint32]]:
        batch: list[str] = []
        size = 0
        for _, start, stop in spans.tolist():
            batch.append(self._normalise(data[start:stop].tobytes().decode()))
            size += stop - start
            if size >= _BATCH_BYTES:
                yield from self._encode_texts(batch)
                batch, size = [], 0
        yield from self._encode_texts(batch)

    def _encode_texts(self, texts: list[str]) -> Iterator[NDArray[np.uint32]]:
        processor = self._engine.processor
        for text, ids in zip(texts, processor.encode(texts, return_type="numpy", num_threads=1), strict=True):
            values = self._values[ids]
            unknown = np.flatnonzero(ids == processor.unk_id())
            if len(unknown):
                pieces = processor.encode(text, out_type=str)
                values[unknown] = self._unknown_values([pieces[place].encode() for place in unknown.tolist()])
            yield values


def _read_only(array: NDArray[Number]) -> NDArray[Number]:
    """A view that kernels are compiled for once, as Arrow's buffers are."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
