"""A SentencePiece BPE model's ids, word by word: pieces never cross the beginning of a word."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.bpe_merges import (
    MOST_RANKS,
    MOST_SYMBOLS,
    Merges,
    Surfaces,
    merge_words,
    merges_of,
    room_for,
)
from corpora.encoding.cache.cached_words import ByEngine, Bytes, Offsets
from corpora.encoding.cache.lending import DEFAULT_CACHE
from corpora.encoding.cache.word_scans import scan, scan_spaced
from corpora.encoding.sentencepiece.charsmap import read_rules
from corpora.encoding.sentencepiece.code_points import SPACE
from corpora.encoding.sentencepiece.model_proto import (
    BPE,
    BYTE,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    SentencePieceModel,
    read_model,
)
from corpora.encoding.sentencepiece.word_tables import (
    APART,
    NAME,
    character_map_of,
    character_table,
    expansion,
    objection_to_rules,
    processor_of,
    untouched,
)
from corpora.encoding.sentencepiece.words import SentencePieceWords, Tables

_CODE_POINTS = 0x110000
_INSIDE = re.compile("[^▁]▁| ")


class Engine(NamedTuple):
    """The tables that all SentencePieceBpe objects of a model share. See `bpe_merges.merge_words`.

    no_end: the space, if some pieces have several spaces. A word ends with a space if the text has U+2581 (or another
    character that becomes a space) before a space: then a piece may cross both.
    """

    tables: Tables
    expansion: int
    keeps_spaces: bool
    merges: Merges
    surfaces: Surfaces
    no_end: int


class SentencePieceBpe(SentencePieceWords):
    """Serves one thread at a time. `model` is one that `why_not` has no objection to.

    by_engine: SentencePiece's ids, for texts that can't be encoded word by word.
    """

    def __init__(
        self, model: bytes, dtype: np.dtype[np.unsignedinteger], by_engine: ByEngine, cache_bytes: int = DEFAULT_CACHE
    ) -> None:
        made = engine(model)
        super().__init__(
            dtype,
            made.tables,
            normalise=str,
            keeps_spaces=made.keeps_spaces,
            expansion=made.expansion,
            alone=True,
            cache_bytes=cache_bytes,
        )
        self._made, self._given_engine = made, by_engine

    def _cut(
        self, data: Bytes, offsets: Offsets, state: NDArray[np.int64], lines_of: NDArray[np.int64]
    ) -> tuple[int, int]:
        to = (self._words, self._line_ends, lines_of)
        if self._keeps_spaces:
            return scan_spaced(data, offsets, state, self._most_bytes, *to)
        return scan(data, offsets, state, ord("\n"), False, self._most_bytes, *to)

    def _settle(
        self, symbols: NDArray[np.int32], starts: Offsets, entries: NDArray[np.int64], pool_next: int, pool_end: int
    ) -> int:
        made, entry_of = self._made, self._cache.entries
        how = (made.merges, made.surfaces, made.no_end)
        room = room_for(int(np.diff(starts).max(initial=1)))
        return merge_words(symbols, starts, entries, entry_of, *how, self._pool, pool_next, pool_end, room)

    def _by_engine(self, texts: list[str]) -> list[NDArray[np.integer]]:
        return list(self._given_engine(texts))


@lru_cache(maxsize=8)
def engine(model: bytes) -> Engine:
    """Raises DamagedFile if this isn't a model."""
    parsed, processor = read_model(model, NAME), processor_of(model)
    own = {piece.text: number for number, piece in enumerate(parsed.pieces) if piece.type == NORMAL}
    pieces = len(parsed.pieces)
    symbol_of = np.arange(pieces, pieces + _CODE_POINTS, dtype=np.int32)
    single = {ord(text): number for text, number in own.items() if len(text) == 1}
    symbol_of[list(single)] = list(single.values())
    found = character_map_of(processor, parsed.charsmap, None)
    table, runs = character_table(found, symbol_of)

    def symbols(text: str) -> NDArray[np.int32]:
        return symbol_of[np.frombuffer(text.encode("utf-32-le"), np.uint32)]

    tables = Tables(processor, table, runs, int(symbol_of[ord(SPACE)]), symbols)
    surfaces = Surfaces(np.arange(pieces, dtype=np.int32), _byte_ids(parsed), processor.unk_id())
    no_end = tables.space if any(2 * SPACE in text for text in own) else -1
    return Engine(tables, expansion(found), not parsed.collapses_spaces, _merges(parsed, own), surfaces, no_end)


def _byte_ids(model: SentencePieceModel) -> NDArray[np.int32]:
    """The id of each byte; all -1 if the model doesn't fall back to bytes."""
    found = np.full(256, -1, np.int32)
    for number, piece in enumerate(model.pieces):
        if piece.type == BYTE:
            found[int(piece.text[1:-1], 16)] = number
    return found


def _splits(text: str, own: dict[str, int], pieces: int) -> list[tuple[int, int]]:
    """The pairs of symbols that make up this piece; a symbol is a piece, or a character that isn't one."""

    def symbol(part: str) -> int:
        return own.get(part, pieces + ord(part) if len(part) == 1 else -1)

    pairs = [(symbol(text[:cut]), symbol(text[cut:])) for cut in range(1, len(text))]
    return [pair for pair in pairs if min(pair) >= 0]


def _merges(model: SentencePieceModel, own: dict[str, int]) -> Merges:
    ranked = sorted(own.items(), key=lambda item: -model.pieces[item[1]].score)
    rows = [
        (left, right, rank)
        for rank, (text, _) in enumerate(ranked)
        for left, right in _splits(text, own, len(model.pieces))
    ]
    merged = np.array([number for _, number in ranked], np.int32)
    return merges_of(np.array(rows, np.int64).reshape(-1, 3), merged)


@lru_cache(maxsize=8)
def why_not(model: bytes) -> str | None:
    """Why a model can't be encoded word by word, or None. Raises DamagedFile."""
    parsed = read_model(model, NAME)
    return _objection_to_pieces(parsed) or _objection_to_spaces(parsed, processor_of(model))


def _objection_to_pieces(model: SentencePieceModel) -> str | None:
    own = {piece.text: number for number, piece in enumerate(model.pieces) if piece.type == NORMAL}
    kinds = {piece.type for piece in model.pieces}
    unused = [piece.text for piece in model.pieces if piece.type == UNUSED]
    scores = [model.pieces[number].score for text, number in own.items() if len(text) > 1]
    objections = {
        "it is not a BPE model": model.model_type != BPE,
        "its words don't begin with a space": not model.dummy_prefix or model.whitespace_as_suffix,
        "it doesn't write spaces as U+2581": not model.escapes_spaces,
        "it has user-defined symbols": USER_DEFINED in kinds,
        "text can reach its unused pieces": any(len(t) == 1 or _splits(t, own, len(model.pieces)) for t in unused),
        "some of its pieces cross spaces": any(_INSIDE.search(text) for text in [*own, *unused]),
        "it has no piece for the space": SPACE not in own and BYTE not in kinds,
        "multi-character pieces have equal scores": len({*scores}) < len(scores) or not np.all(np.isfinite(scores)),
        "it has too many pieces": len(model.pieces) > min(MOST_RANKS, MOST_SYMBOLS - _CODE_POINTS),
        "a piece contains U+0000": any("\0" in text for text in own),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def _objection_to_spaces(model: SentencePieceModel, processor: object) -> str | None:
    if model.collapses_spaces:
        return objection_to_rules(model, processor)
    try:
        rules = read_rules(model.charsmap)
    except ValueError as error:
        return f"its normalisation rules can't be read ({error})"
    if untouched(rules, [" ", APART], []):
        return None
    return "its normalisation rules replace spaces or private-use characters"
