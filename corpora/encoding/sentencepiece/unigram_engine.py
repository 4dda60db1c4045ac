"""A unigram model as tables for the kernels, and which models they support."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.sentencepiece.code_points import SPACE
from corpora.encoding.sentencepiece.model_proto import (
    BYTE,
    NORMAL,
    UNIGRAM,
    USER_DEFINED,
    SentencePieceModel,
    read_model,
)
from corpora.encoding.sentencepiece.piece_trie import PieceTrie, piece_trie
from corpora.encoding.sentencepiece.word_tables import (
    NAME,
    character_map_of,
    character_table,
    expansion,
    objection_to_rules,
    processor_of,
)
from corpora.errors import BadArgument
from corpora.text.normalise import Normaliser

_UNKNOWN_PENALTY = np.float32(10)  # SentencePiece's score of an unknown character, below the lowest piece
_LOWEST_SCORE = -1e6
_FINEST_STEP = 2.0**-10


class Engine(NamedTuple):
    """The tables that all WordPieces objects of a model share.

    table, runs: see `word_symbols.normalised`. A symbol s >= the alphabet's size stands for the code point
    s - size, which no piece has. expansion: the most symbols that a byte of text becomes. scoring: see
    `unigram_viterbi.best_pieces`.
    """

    processor: Any
    trie: PieceTrie
    table: NDArray[np.int32]
    runs: NDArray[np.int32]
    expansion: int
    scoring: NDArray[np.float64]

    def symbols(self, text: str) -> NDArray[np.int32]:
        found, size = self.trie.symbols, len(self.trie.alphabet)
        return np.array([found.get(c, ord(c) + size) for c in text], np.int32)

    def utf8(self, symbols: NDArray[np.int32], spans: NDArray[np.int64]) -> list[bytes]:
        """The text of symbols[first:end] for each row (first, end) of `spans`, at least one."""
        lengths = spans[:, 1] - spans[:, 0]
        ends = np.cumsum(lengths)
        found = symbols[np.arange(ends[-1]) + np.repeat(spans[:, 1] - ends, lengths)]
        size = len(self.trie.alphabet)
        codes, known = (found - size).astype("<u4"), found < size
        codes[known] = self.trie.alphabet[found[known]]
        text = codes.tobytes().decode("utf-32-le")
        return [
            text[end - length : end].encode() for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]


@lru_cache(maxsize=16)
def engine(model: bytes, normaliser: Normaliser | None) -> Engine:
    """Raises BadArgument if `why_not` has an objection, DamagedFile if this isn't a model."""
    parsed, processor = read_model(model, NAME), processor_of(model)
    objection = why_not(model)
    if objection is not None:
        raise BadArgument(
            f"this tokenizer can't be encoded word by word ({objection}): use SentencePiece for whole lines"
        )
    trie = piece_trie(parsed)
    found = character_map_of(processor, parsed.charsmap, normaliser)
    size = len(trie.alphabet)
    symbol_of = np.arange(size, size + 0x110000, dtype=np.int32)
    symbol_of[trie.alphabet] = np.arange(size, dtype=np.int32)
    table, runs = character_table(found, symbol_of)
    return Engine(processor, trie, table, runs, expansion(found), _scoring(parsed, size))


@lru_cache(maxsize=16)
def why_not(model: bytes) -> str | None:
    """Why WordPieces can't encode for this tokenizer, or None. Raises DamagedFile."""
    return _objection(read_model(model, NAME), processor_of(model))


def _objection(model: SentencePieceModel, processor: Any) -> str | None:
    return _objection_to_pieces(model) or objection_to_rules(model, processor)


def _objection_to_pieces(model: SentencePieceModel) -> str | None:
    pieces = [piece for piece in model.pieces if piece.type == NORMAL]
    objections = {
        "it is not a unigram model": model.model_type != UNIGRAM,
        "its words don't begin with a space": not model.dummy_prefix or model.whitespace_as_suffix,
        "it keeps runs of spaces": not model.collapses_spaces,
        "it doesn't write spaces as U+2581": not model.escapes_spaces,
        "it has user-defined symbols": any(piece.type == USER_DEFINED for piece in model.pieces),
        "it falls back to bytes": any(piece.type == BYTE for piece in model.pieces),
        "some of its pieces cross spaces": any(SPACE in piece.text[1:] for piece in pieces),
        "it has no piece for the space": all(piece.text != SPACE for piece in pieces),
        "a piece scores above 0 or below -1e6": not all(_LOWEST_SCORE <= piece.score <= 0 for piece in pieces),
        "a piece contains U+0000": any("\0" in piece.text for piece in pieces),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def _scoring(model: SentencePieceModel, alphabet: int) -> NDArray[np.float64]:
    scores = np.array([piece.score for piece in model.pieces if piece.type == NORMAL], np.float32)
    unknown = np.min(scores) - _UNKNOWN_PENALTY
    every, step = np.append(scores, unknown).astype(np.float64), 1.0
    while step >= _FINEST_STEP and np.any(every % step):
        step /= 2
    return np.array([unknown, step if step >= _FINEST_STEP else 0.0, alphabet])
