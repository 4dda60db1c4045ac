"""Byte-level BPE as GPT-2 has it, word by word: ids of a tokenizer.json without `tokenizers`."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from corpora.encoding.bpe_merges import (
    MOST_RANKS,
    MOST_SYMBOLS,
    Merges,
    Surfaces,
    bytes_as_symbols,
    merge_words,
    merges_of,
)
from corpora.encoding.cached_words import DEFAULT_CACHE, Bytes, CachedWords, Offsets
from corpora.encoding.gpt2_files import byte_characters
from corpora.encoding.word_pieces import ByEngine
from corpora.encoding.word_scans import LETTER, NUMBER, OTHER, WHITE, scan_gpt2
from corpora.encoding.word_symbols import LONGEST_WORD

_CODE_POINTS = 0x110000
_PLANES = 0x40000  # those with letters and numbers, now or one day
_RUN = 64


class _Model(msgspec.Struct):
    type: str
    vocab: dict[str, int] | list[Any]
    merges: list[str | tuple[str, str]] = []
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    ignore_merges: bool = False


class _Added(msgspec.Struct):
    special: bool = False


class _PreTokenizer(msgspec.Struct):
    type: str
    add_prefix_space: bool = True
    use_regex: bool = True


class _File(msgspec.Struct):
    """Of tokenizer.json, what decides ids."""

    model: _Model
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: _PreTokenizer | None = None
    added_tokens: list[_Added] = []


class Engine(NamedTuple):
    """What all ByteLevelBpe of a file share. symbol_of: the id of each byte."""

    symbol_of: NDArray[np.int32]
    merges: Merges
    surfaces: Surfaces


class ByteLevelBpe(CachedWords):
    """Serves one thread at a time. `data` is a tokenizer.json that `why_not` has no objection to.

    by_engine: the ids of texts, for those that words can't serve.
    """

    def __init__(
        self, data: bytes, dtype: np.dtype[np.unsignedinteger], by_engine: ByEngine, cache_bytes: int = DEFAULT_CACHE
    ) -> None:
        super().__init__(dtype, expansion=1, alone=True, cache_bytes=cache_bytes)
        self._engine, self._classes, self._given_engine = engine(data), classes(), by_engine

    def _cut(
        self, data: Bytes, offsets: Offsets, state: NDArray[np.int64], lines_of: NDArray[np.int64]
    ) -> tuple[int, int]:
        to = (self._words, self._line_ends, lines_of)
        return scan_gpt2(data, offsets, state, self._most_bytes, self._classes, *to)

    def _fill(self, data: Bytes, part: slice, pool_next: int, pool_end: int) -> int:
        entries, words = self._fresh.entries[part], self._fresh.words[part]
        starts, made = np.empty(len(entries) + 1, np.int64), self._engine
        spans = (self._words.starts, self._words.lengths)
        bytes_as_symbols(data, *spans, words, made.symbol_of, LONGEST_WORD, self._symbols, starts)
        to = (-1, self._pool, pool_next, pool_end)
        pool_next = merge_words(self._symbols, starts, entries, self._cache.entries, made.merges, made.surfaces, *to)
        self._cache.entries["limit"][entries[starts[1:] == starts[:-1]]] = -1  # too long
        return pool_next

    def _by_engine(self, texts: list[str]) -> list[NDArray[np.integer]]:
        return list(self._given_engine(texts))


@lru_cache(maxsize=8)
def engine(data: bytes) -> Engine:
    model = msgspec.json.decode(data, type=_File).model
    vocab = model.vocab
    assert isinstance(vocab, dict)
    symbol_of = np.array([vocab[character] for _, character in sorted(byte_characters().items())], np.int32)
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model.merges]
    rows = [(vocab[left], vocab[right], rank) for rank, (left, right) in enumerate(pairs)]
    merged = np.array([vocab[left + right] for left, right in pairs], np.int32)
    ids = np.arange(max(vocab.values()) + 1, dtype=np.int32)
    surfaces = Surfaces(ids, np.full(256, -1, np.int32), 0)
    return Engine(symbol_of, merges_of(np.array(rows, np.int64).reshape(-1, 3), merged), surfaces)


@lru_cache(maxsize=8)
def why_not(data: bytes) -> str | None:
    """Why a tokenizer.json can't be served by words, or None."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError as error:
        return f"it is no file of byte-level BPE ({error})"
    return _objection_to_words(file) or _objection_to_model(file.model)


def _objection_to_words(file: _File) -> str | None:
    cut = file.pre_tokenizer
    objections = {
        "it has a normalizer": file.normalizer is not None,
        "its words are not GPT-2's": cut is None
        or cut.type != "ByteLevel"
        or cut.add_prefix_space
        or not cut.use_regex,
        "it has added tokens that are not special": not all(token.special for token in file.added_tokens),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def _objection_to_model(model: _Model) -> str | None:
    if model.type != "BPE" or not isinstance(model.vocab, dict):
        return f"it is {model.type}, not BPE"
    objections = {
        "it has dropout": bool(model.dropout),
        "it marks parts of words": bool(model.continuing_subword_prefix or model.end_of_word_suffix),
        "it ignores merges": model.ignore_merges,
        "it has too many tokens": max(model.vocab.values(), default=0) >= MOST_SYMBOLS
        or len(model.merges) > MOST_RANKS,
        "it lacks some bytes": not model.vocab.keys() >= set(byte_characters().values()),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


@lru_cache(maxsize=1)
def classes() -> NDArray[np.uint8]:
    """Of each code point, as the installed `tokenizers` sees it; characters newer than Python's are asked of it."""
    kinds = {"L": LETTER, "N": NUMBER}
    categories = [unicodedata.category(chr(code)) for code in range(_PLANES)]
    found = np.full(_CODE_POINTS, OTHER, np.uint8)
    found[:_PLANES] = [kinds.get(category[0], OTHER) for category in categories]
    found[[code for code in range(0x3001) if chr(code).isspace() and not 0x1C <= code <= 0x1F]] = WHITE
    runs = _runs(np.flatnonzero(np.array(categories) == "Cn"))
    newer = [code for run in _not_all_other(runs) for code in run]
    found[newer] = [_asked(chr(code)) for code in newer]
    return found


def _runs(codes: NDArray[np.int64]) -> list[range]:
    """Consecutive ones, in parts that are not long."""
    breaks = np.flatnonzero((np.diff(codes) != 1) | (codes[1:] % _RUN == 0)) + 1
    return [range(int(run[0]), int(run[-1]) + 1) for run in np.split(codes, breaks)]


def _not_all_other(runs: list[range]) -> list[range]:
    """Those that have a letter or a number: the others are one word with the exclamation mark before them."""
    text = "".join("1!" + "".join(map(chr, run)) for run in runs)
    spans = {span for _, span in _cut(text)}
    ends = np.cumsum([len(run) + 2 for run in runs]).tolist()
    return [run for run, end in zip(runs, ends, strict=True) if (end - len(run) - 1, end) not in spans]


def _asked(character: str) -> int:
    """The class of a character that is no space."""
    spans = [span for _, span in _cut(f"1{character}a")]
    return {(0, 1): LETTER, (0, 2): NUMBER}[spans[0]] if len(spans) == 2 else OTHER


def _cut(text: str) -> list[tuple[str, tuple[int, int]]]:
    from tokenizers import pre_tokenizers

    words: list[tuple[str, tuple[int, int]]] = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return words
