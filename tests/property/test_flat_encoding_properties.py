"""Any text with every kind of encoder, any merges, and every code point: as the engines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from corpora.compiled import uncounted
from corpora.encoding.cache.bpe_merges import Surfaces, merge_words, merges_of, room_for
from corpora.encoding.cache.word_cache import ENTRY
from corpora.encoding.gpt2.byte_level_bpe import classes
from corpora.encoding.gpt2.words import BLOCK, CARRIED, LETTER, NUMBER, OTHER, WHITE, beginnings
from corpora.texts import utf8
from tests.encoders import WORDS, encoder, flat, of_record
from tests.reference.greedy_merges import merge

SPECIAL = "aAeEoOñÑáéíóúüç .,;:!?-—'’«»\"()0123456789\n\t\r \0\x01\x1c\x1f\x7f\x85\xa0\u2028\u3000\u200b\u200d\ufeff▁"
SPECIAL += "日本の首都가각한국Москва\u0301\u0327\u1100\u1161\u11a8ﾊﾞﷺ½²٣१ß×÷ſKΣς👍🏽🇧🇷☃\U0002f800\U0010fffd<>|_/"
PARTS = [
    "  ",
    "   ",
    "\n\n",
    "\n  ",
    " de",
    "ción",
    "'s",
    "'ll",
    " 's",
    "<|endoftext|>",
    "</s>",
    "<0x41>",
    "☃☃",
    "e\u0301",
]
TEXT = st.lists(st.sampled_from([*SPECIAL, *PARTS]) | st.characters(exclude_categories=["Cs"]), max_size=40).map(
    "".join
)


@pytest.mark.parametrize("kind", [*WORDS, "bytes"])
@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_any_text(kind: str, texts: list[str]) -> None:
    found = encoder(kind)
    assert flat(found, texts) == of_record(found, texts)


PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30, unique=True)


@settings(max_examples=300, deadline=None)
@given(pairs=PAIRS, words=st.lists(st.lists(st.integers(0, 3), max_size=120), min_size=1, max_size=8), data=st.data())
def test_any_merges(pairs: list[tuple[int, int]], words: list[list[int]], data) -> None:
    """Short words and long ones, which are merged in different ways; symbols 10 and up are merges' own."""
    merged = [data.draw(st.integers(0, 9) | st.just(10 + rank)) for rank in range(len(pairs))]
    table = merges_of(np.array([(*pair, rank) for rank, pair in enumerate(pairs)]), np.array(merged, np.int32))
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    entries, pool = np.zeros(len(words), ENTRY), np.empty(4 * sum(map(len, words)), np.uint32)
    symbols = np.array([symbol for word in words for symbol in word], np.int32)
    starts = np.cumsum([0, *map(len, words)])
    surfaces = Surfaces(np.arange(50, dtype=np.int32), np.full(256, -1, np.int32), 0)
    order = np.arange(len(words))
    merge_words(symbols, starts, order, entries, table, surfaces, -1, pool, 0, len(pool), room_for(120))
    found = [pool[e["pieces"] : e["pieces"] + e["count"]].tolist() for e in entries]
    assert found == [merge(word, ranks, merged) for word in words]


@uncounted
def _beginnings(data, start, stop, classes, carried, found, masks):
    carried[:] = 0
    for block in range((stop - start + BLOCK - 1) // BLOCK):
        position = start + BLOCK * block
        masks[block] = beginnings(data, position, stop, data, position, classes, carried, found)


def _words(text: str, before: str = "", after: str = "") -> list[str]:
    """Between two others, which aren't looked at."""
    joined = utf8([before, text, after + "x" * BLOCK])
    (start, stop), masks = joined.offsets[1:3].tolist(), np.zeros(len(joined.data) // BLOCK + 1, np.uint64)
    _beginnings(joined.data, start, stop, classes(), np.zeros(CARRIED, np.uint64), np.zeros(8, np.uint64), masks)
    bits = np.unpackbits(masks.astype("<u8").view(np.uint8), bitorder="little")
    found = [*np.flatnonzero(bits).tolist(), stop - start]
    own = text.encode()
    return [own[begin:end].decode() for begin, end in pairwise(found)]


def _gpt2_words(text: str) -> list[str]:
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return [text[start:end] for _, (start, end) in cut]


@settings(max_examples=2000, deadline=None)
@given(TEXT, st.integers(0, 70), TEXT, TEXT)
def test_words_of_gpt2(text: str, shift: int, before: str, after: str) -> None:
    """At any place in a block of 64 bytes, whatever other texts stand beside."""
    assert _words("y" * shift + text, before, after) == _gpt2_words("y" * shift + text)


@pytest.mark.slow
def test_every_code_point_has_the_class_that_tokenizers_gives_it() -> None:
    for first in range(0, 0x110000, 0x8000):
        codes = [code for code in range(first, first + 0x8000) if not 0xD800 <= code < 0xE000]
        found = [_class_of(chr(code)) for code in codes]
        assert found == classes()[codes].tolist(), hex(first)


def _class_of(character: str) -> int:
    words = _gpt2_words(f"1{character}a")
    if len(words) == 2 and character != " ":
        return LETTER if words[0] == "1" else NUMBER
    return OTHER if f"!{character}" in _gpt2_words(f"!{character}") else WHITE
