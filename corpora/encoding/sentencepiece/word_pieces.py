"""Text to the pieces of a SentencePiece unigram model, word by word: as SentencePiece gives them, but faster.

Pieces never cross a space, so a word's pieces can be cached. Where SentencePiece's choice depends on the score of the
line so far (near-ties, see `unigram_viterbi`), the whole line is left to SentencePiece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.cached_words import ByEngine, Bytes, Lines, Offsets
from corpora.encoding.cache.lending import DEFAULT_CACHE
from corpora.encoding.cache.word_scans import scan
from corpora.encoding.sentencepiece.code_points import SPACE, normalise_function
from corpora.encoding.sentencepiece.unigram_engine import Engine, engine, why_not
from corpora.encoding.sentencepiece.unigram_viterbi import best_pieces, room_for
from corpora.encoding.sentencepiece.words import SentencePieceWords, Tables
from corpora.errors import BadArgument
from corpora.text.normalise import Normaliser

__all__ = ["DEFAULT_CACHE", "Lines", "WordPieces", "why_not"]

UnknownValues = Callable[[list[bytes]], Sequence[int]]


class WordPieces(SentencePieceWords):
    """Serves one thread at a time; all instances for a model share its tables. Raises BadArgument, DamagedFile.

    normaliser: applied to each line before SentencePiece. separators: b" " or b" \\n", between words.
    line_end: whether b"\\n" ends a line; otherwise a document is one line. values: [pieces], the value written for
    each; the result has its dtype. unknown_values: the values of runs of unknown characters, from their normalised
    UTF-8; a number: the value of all. by_engine: encodes lines, instead of one call of SentencePiece per line; it
    must then give the pieces of every word encoded alone. cache_bytes: see CachedWords.
    """

    def __init__(
        self,
        model: bytes,
        *,
        normaliser: Normaliser | None,
        separators: bytes,
        line_end: bool,
        values: NDArray[np.unsignedinteger],
        unknown_values: UnknownValues | int,
        by_engine: ByEngine | None = None,
        cache_bytes: int = DEFAULT_CACHE,
    ) -> None:
        if separators not in (b" ", b" \n"):
            raise BadArgument(f"separators are {separators!r}; they must be b' ' or b' \\n'")
        made: Engine = engine(model, normaliser)
        pieces: int = made.processor.get_piece_size()
        if len(values) != pieces:
            raise BadArgument(f"{len(values)} values for {pieces} pieces: give one per piece")
        tables = Tables(made.processor, made.table, made.runs, made.trie.symbols[SPACE], made.symbols)
        super().__init__(
            values.dtype,
            tables,
            normalise=normalise_function(normaliser),
            keeps_spaces=False,
            expansion=made.expansion,
            alone=by_engine is not None,
            cache_bytes=cache_bytes,
        )
        self._engine = made
        self._values = np.ascontiguousarray(values, np.uint32)
        self._unknown_values, self._given_engine = unknown_values, by_engine
        self._newline = ord("\n") if line_end or b"\n" in separators else ord(" ")
        self._line_end = line_end
        self._unknowns = np.empty((len(self._symbols) // 2 + 1, 3), np.int64)

    def _cut(
        self, data: Bytes, offsets: Offsets, state: NDArray[np.int64], lines_of: NDArray[np.int64]
    ) -> tuple[int, int]:
        how = (self._newline, self._line_end, self._most_bytes)
        return scan(data, offsets, state, *how, self._words, self._line_ends, lines_of)

    def _settle(
        self, symbols: NDArray[np.int32], starts: Offsets, entries: NDArray[np.int64], pool_next: int, _pool_end: int
    ) -> int:
        if not len(entries):
            return pool_next
        if len(symbols) // 2 >= len(self._unknowns):
            self._unknowns = np.empty((len(symbols) // 2 + 1, 3), np.int64)
        engine = self._engine
        pool_next, runs = best_pieces(
            symbols, starts, entries, self._cache.entries, engine.trie.nodes, engine.scoring, self._values,
            self._pool, pool_next, self._unknowns, room_for(starts),
        )  # fmt: skip
        if runs:
            places, spans = self._unknowns[:runs, 0], self._unknowns[:runs, 1:]
            self._pool[places] = self._of_unknown(lambda: engine.utf8(symbols, spans))
        return pool_next

    def _of_unknown(self, surfaces: Callable[[], list[bytes]]) -> int | Sequence[int]:
        given = self._unknown_values
        return given if isinstance(given, int) else given(surfaces())

    def _by_engine(self, texts: list[str]) -> Iterable[NDArray[np.integer]]:
        texts = [self._normalise(text) for text in texts]
        return self._encode_texts(texts) if self._given_engine is None else self._given_engine(texts)

    def _encode_texts(self, texts: list[str]) -> Iterator[NDArray[np.uint32]]:
        processor = self._engine.processor
        for text, ids in zip(texts, processor.encode(texts, return_type="numpy", num_threads=1), strict=True):
            values = self._values[ids]
            unknown = np.flatnonzero(ids == processor.unk_id())
            if len(unknown):
                values[unknown] = self._of_unknown(partial(_pieces_at, processor, text, unknown))
            yield values


def _pieces_at(processor: Any, text: str, places: NDArray[np.int64]) -> list[bytes]:
    pieces = processor.encode(text, out_type=str)
    return [pieces[place].encode() for place in places.tolist()]
