"""GPT-2's byte-level BPE, word by word: the ids of a tokenizer.json, without the `tokenizers` library.

Twin: tests/reference/gpt2_words.py::words_of, tests/reference/greedy_merges.py::merge
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from corpora.compiled import trailing_zeros, uncounted
from corpora.encoding.cache.bpe_merges import MOST_RANKS, MOST_SYMBOLS, ByteMerges, byte_merges
from corpora.encoding.cache.cached_words import ByEngine
from corpora.encoding.cache.lending import DEFAULT_CACHE
from corpora.encoding.cache.word_symbols import LONGEST_WORD
from corpora.encoding.cache.word_table import (
    LONG_SLOT,
    MERGED,
    REFUSED,
    SHORT_SLOT,
    WRITTEN,
    Table,
    Words,
    new_table,
    room_for_words,
    write_words,
)
from corpora.encoding.flat import FlatIds, flat_ids
from corpora.encoding.gpt2.files import byte_characters
from corpora.encoding.gpt2.words import BLOCK, CARRIED, LETTER, NUMBER, OTHER, WHITE, beginnings
from corpora.texts import Utf8, read_only

_CODE_POINTS = 0x110000
_PLANES = 0x40000  # the code points of the planes that have, or may get, letters and numbers
_RUN = 64
_WORDS = 512  # words looked up at once
_ENOUGH, _MUCH = 1 << 20, 0.65  # bytes; above this share of new words fastokens is faster


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
    """The parts of tokenizer.json that the ids depend on."""

    model: _Model
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: _PreTokenizer | None = None
    added_tokens: list[_Added] = []


class Tables(NamedTuple):
    """The word caches."""

    short: Table
    long: Table


class Scanning(NamedTuple):
    """See `words.beginnings`. end: a copy of the data's last bytes, writable as `end_to_write`."""

    classes: NDArray[np.uint8]
    carried: NDArray[np.uint64]
    found: NDArray[np.uint64]
    end: NDArray[np.uint8]
    end_to_write: NDArray[np.uint8]


class ByteLevelBpe:
    """Serves one thread at a time. `data` is a tokenizer.json that `why_not` has no objection to.

    by_engine: the engine's ids, for texts that can't be encoded word by word. cache_bytes bounds both tables
    together; a table is emptied when it is full.
    """

    engine, seldom_serve = "word cache", False

    def __init__(
        self,
        data: bytes,
        dtype: np.dtype[np.unsignedinteger],
        by_engine: ByEngine,
        cache_bytes: int = DEFAULT_CACHE,
    ) -> None:
        self._merges, self._dtype, self._by_engine = merges(data), dtype, by_engine
        self._tables = Tables(new_table(cache_bytes // 2, SHORT_SLOT), new_table(cache_bytes // 2, LONG_SLOT))
        self._words = room_for_words(_WORDS + BLOCK, LONGEST_WORD)
        end = np.zeros(BLOCK + 1, np.uint8)
        carried, found = np.zeros(CARRIED, np.uint64), np.zeros(8, np.uint64)
        self._scanning = Scanning(classes(), carried, found, read_only(end), end)
        self._bytes_seen = 0

    @property
    def slower_than_next(self) -> bool:
        """Whether most of the text is new words, as in Chinese: fastokens merges those faster."""
        return self._bytes_seen > _ENOUGH and int(self._words.counts[MERGED]) > _MUCH * self._bytes_seen

    def encode_flat(self, texts: Utf8) -> FlatIds:
        data, offsets = read_only(texts.data), read_only(texts.offsets)
        ids, ends = np.empty(len(data) + WRITTEN, self._dtype), np.empty(len(offsets), np.int64)
        refused = np.zeros(len(texts), np.bool_)
        encode_texts(data, offsets, self._scanning, self._words, self._tables, self._merges, ids, ends, refused)
        self._bytes_seen += int(offsets[-1] - offsets[0])
        found = FlatIds(ids[: ends[-1]].copy(), ends)
        return self._with_the_engines(found, texts, refused) if refused.any() else found

    def _with_the_engines(self, found: FlatIds, texts: Utf8, refused: NDArray[np.bool_]) -> FlatIds:
        """The ids, with the refused texts encoded by the engine."""
        parts: list[NDArray[np.integer]] = np.split(found.ids, found.offsets[1:-1])
        for number in np.flatnonzero(refused).tolist():
            start, stop = texts.offsets[number : number + 2].tolist()
            (parts[number],) = self._by_engine([texts.data[start:stop].tobytes().decode()])
        return flat_ids(parts, self._dtype)


@uncounted
def encode_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    scanning: Scanning,
    words: Words,
    tables: Tables,
    merges: ByteMerges,
    ids: NDArray[np.unsignedinteger],
    ends: NDArray[np.int64],
    refused: NDArray[np.bool_],
) -> None:
    """Writes the ids of texts `data[offsets[k]:offsets[k + 1]]` to ids[ends[k]:ends[k + 1]].

    A text with a word that is too long is refused: it has no ids. A word never has more ids than bytes.
    """
    end, starts = 0, words.starts
    ends[0] = 0
    for text in range(offsets.shape[0] - 1):
        position, stop, count = offsets[text], offsets[text + 1], 0
        scanning.carried[:] = 0
        words.counts[REFUSED] = 0
        while position < stop:
            block, at = data, position
            if position + BLOCK >= data.shape[0]:
                block, at = scanning.end, 0
                for place in range(BLOCK + 1):
                    byte = data[position + place] if position + place < data.shape[0] else 0
                    scanning.end_to_write[place] = byte
            bits = beginnings(data, position, stop, block, at, scanning.classes, scanning.carried, scanning.found)
            while bits != 0:
                starts[count] = position + trailing_zeros(bits)
                bits &= bits - np.uint64(1)
                count += 1
            position += BLOCK
            if count > _WORDS:
                end = write_words(data, words, count - 1, tables.short, tables.long, merges, ids, end)
                starts[0], count = starts[count - 1], 1
        starts[count] = stop
        end = write_words(data, words, count, tables.short, tables.long, merges, ids, end)
        if words.counts[REFUSED] > 0:
            refused[text], end = True, ends[text]
        ends[text + 1] = end


@lru_cache(maxsize=8)
def merges(data: bytes) -> ByteMerges:
    model = msgspec.json.decode(data, type=_File).model
    vocab = model.vocab
    assert isinstance(vocab, dict)
    symbol_of = np.array([vocab[character] for _, character in sorted(byte_characters().items())], np.int32)
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model.merges]
    rows = [(vocab[left], vocab[right], rank) for rank, (left, right) in enumerate(pairs)]
    merged = np.array([vocab[left + right] for left, right in pairs], np.int32)
    return byte_merges(symbol_of, np.array(rows, np.int64).reshape(-1, 3), merged)


@lru_cache(maxsize=8)
def why_not(data: bytes) -> str | None:
    """Why a tokenizer.json can't be encoded word by word, or None."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError as error:
        return f"it is not a byte-level BPE file ({error})"
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
    ids_of_bytes = {model.vocab[character] for character in byte_characters().values() if character in model.vocab}
    objections = {
        "it has dropout": bool(model.dropout),
        "it marks where words begin or end": bool(model.continuing_subword_prefix or model.end_of_word_suffix),
        "it ignores merges": model.ignore_merges,
        "it has too many tokens": max(model.vocab.values(), default=0) >= MOST_SYMBOLS
        or len(model.merges) > MOST_RANKS,
        "it lacks some bytes, or two bytes share an id": len(ids_of_bytes) < 256,
    }
    return next((reason for reason, holds in objections.items() if holds), None)


@lru_cache(maxsize=1)
def classes() -> NDArray[np.uint8]:
    """The class of each code point in `tokenizers`, which is queried for characters newer than Python's."""
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
    """Runs of consecutive codes, long runs cut into parts."""
    breaks = np.flatnonzero((np.diff(codes) != 1) | (codes[1:] % _RUN == 0)) + 1
    return [range(int(run[0]), int(run[-1]) + 1) for run in np.split(codes, breaks)]


def _not_all_other(runs: list[range]) -> list[range]:
    """The runs that contain a letter or a number. Any other run is one word with the "!" before it."""
    text = "".join("1!" + "".join(map(chr, run)) for run in runs)
    spans = {span for _, span in _cut(text)}
    ends = np.cumsum([len(run) + 2 for run in runs]).tolist()
    return [run for run, end in zip(runs, ends, strict=True) if (end - len(run) - 1, end) not in spans]


def _asked(character: str) -> int:
    """The class of a character other than white space."""
    spans = [span for _, span in _cut(f"1{character}a")]
    return {(0, 1): LETTER, (0, 2): NUMBER}[spans[0]] if len(spans) == 2 else OTHER


def _cut(text: str) -> list[tuple[str, tuple[int, int]]]:
    from tokenizers import pre_tokenizers

    words: list[tuple[str, tuple[int, int]]] = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return words
