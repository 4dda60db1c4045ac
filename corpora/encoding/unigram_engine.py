"""A unigram model as tables for the kernels, and which models these can serve."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.charsmap import Rules, read_rules
from corpora.encoding.code_points import CODE_POINTS, SPACE, Fates, Normaliser, fates
from corpora.encoding.model_proto import BYTE, NORMAL, UNIGRAM, USER_DEFINED, SentencePieceModel, read_model
from corpora.encoding.piece_trie import PieceTrie, piece_trie
from corpora.encoding.word_symbols import RUN_BITS, SLOW
from corpora.errors import BadArgument, DamagedFile

_NAME = "the tokenizer"
_APART = "\ue000"  # what `code_points` keeps characters apart with
_UNKNOWN_PENALTY = np.float32(10)  # SentencePiece: an unknown character scores so much below the lowest piece
_LOWEST_SCORE = -1e6
_FINEST_STEP = 2.0**-10


class Engine(NamedTuple):
    """What all WordPieces of a model share.

    table, runs: see `word_symbols.normalised`. A symbol from the alphabet's size on is a code point that no piece
    has, plus that size. expansion: symbols that a byte of text can become. scoring: see
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

    def text(self, symbols: NDArray[np.int32]) -> str:
        size = len(self.trie.alphabet)
        return "".join(chr(self.trie.alphabet[s] if s < size else s - size) for s in symbols.tolist())


@lru_cache(maxsize=16)
def engine(model: bytes, normaliser: Normaliser) -> Engine:
    """Raises BadArgument where `why_not` has an objection, DamagedFile where this is no model."""
    parsed, processor = read_model(model, _NAME), _processor(model)
    objection = why_not(model)
    if objection is not None:
        raise BadArgument(f"this tokenizer can't be served by words, {objection}: give its lines to SentencePiece")
    trie = piece_trie(parsed)
    found = _fates(_Rules(parsed.charsmap, processor), normaliser)
    table, runs = _table(found, trie)
    return Engine(processor, trie, table, runs, _expansion(found), _scoring(parsed, len(trie.alphabet)))


class _Rules(NamedTuple):
    """Equal where the charsmaps are: nothing else in processors that `why_not` accepts decides how they normalise."""

    charsmap: bytes
    processor: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rules) and self.charsmap == other.charsmap

    def __hash__(self) -> int:
        return hash(self.charsmap)


@lru_cache(maxsize=4)
def _fates(rules: _Rules, normaliser: Normaliser) -> Fates:
    """Models of many languages share their rules."""
    return fates(rules.processor, read_rules(rules.charsmap), normaliser)


@lru_cache(maxsize=16)
def why_not(model: bytes) -> str | None:
    """Why a tokenizer can't be served by WordPieces, or None. Raises DamagedFile."""
    return _objection(read_model(model, _NAME), _processor(model))


def _objection(model: SentencePieceModel, processor: Any) -> str | None:
    return _objection_to_pieces(model) or _objection_to_rules(model, processor)


@lru_cache(maxsize=4)
def _processor(model: bytes) -> Any:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise DamagedFile(f"SentencePiece can't load {_NAME} ({error}): copy or train it again") from None
    return processor


def _objection_to_pieces(model: SentencePieceModel) -> str | None:
    pieces = [piece for piece in model.pieces if piece.type == NORMAL]
    objections = {
        "it is not a unigram model": model.model_type != UNIGRAM,
        "its words don't begin with a space": not model.dummy_prefix or model.whitespace_as_suffix,
        "it keeps runs of spaces": not model.collapses_spaces,
        "it doesn't write spaces as U+2581": not model.escapes_spaces,
        "it has user-defined symbols": any(piece.type == USER_DEFINED for piece in model.pieces),
        "it falls back to bytes": any(piece.type == BYTE for piece in model.pieces),
        "its pieces reach over spaces": any(SPACE in piece.text[1:] for piece in pieces),
        "it has no piece for the space": all(piece.text != SPACE for piece in pieces),
        "a piece scores above 0 or below -1e6": not all(_LOWEST_SCORE <= piece.score <= 0 for piece in pieces),
        "a piece holds U+0000": any("\0" in piece.text for piece in pieces),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def _objection_to_rules(model: SentencePieceModel, processor: Any) -> str | None:
    try:
        rules = read_rules(model.charsmap)
    except ValueError as error:
        return f"its rules can't be read ({error})"
    # Python strips controls, too, from a line's ends, but CCNet's normaliser deletes these everywhere.
    spaces = ["\n", *(c for c in map(chr, range(0xA0, CODE_POINTS)) if c.isspace())]
    become = processor.normalize([f"a{c}b" for c in [*spaces, SPACE]])
    written = rules.replacements.split(b"\0")
    objections = {
        "its rules don't take every space, the newline and U+2581 as a space": {*become} != {"▁a▁b"}
        or SPACE not in rules.alone,
        "its rules write U+2581 or two spaces": any(SPACE.encode() in to or b"  " in to for to in written),
        "its rules replace spaces or private characters": not _untouched(rules, [" ", _APART], spaces),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def _untouched(rules: Rules, plain: list[str], spaces: list[str]) -> bool:
    in_sequences = rules.starts | rules.continuations
    return rules.alone.isdisjoint(plain) and in_sequences.isdisjoint([*plain, *spaces])


def _table(found: Fates, trie: PieceTrie) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The fates in the numbers that `word_cache.normalise_words` reads."""
    size = len(trie.alphabet)
    symbol_of = np.arange(size, size + 0x110000, dtype=np.int32)
    symbol_of[trie.alphabet] = np.arange(size, dtype=np.int32)
    runs = symbol_of[found.characters]
    lengths, starts = np.diff(found.starts), found.starts[:-1]
    single = lengths == 1
    table = (2 * (starts << RUN_BITS | lengths) + 1).astype(np.int32)
    table[single] = 2 * runs[starts[single]]
    table[found.depends | (lengths >= 1 << RUN_BITS)] = SLOW
    return table, runs


def _expansion(found: Fates) -> int:
    bytes_each = np.repeat([1, 2, 3, 4], [0x80, 0x780, 0xF800, CODE_POINTS - 0x10000])
    return int(np.max(-(-np.diff(found.starts) // bytes_each)))


def _scoring(model: SentencePieceModel, alphabet: int) -> NDArray[np.float64]:
    scores = np.array([piece.score for piece in model.pieces if piece.type == NORMAL], np.float32)
    unknown = np.min(scores) - _UNKNOWN_PENALTY
    every, step = np.append(scores, unknown).astype(np.float64), 1.0
    while step >= _FINEST_STEP and np.any(every % step):
        step /= 2
    return np.array([unknown, step if step >= _FINEST_STEP else 0.0, alphabet])
