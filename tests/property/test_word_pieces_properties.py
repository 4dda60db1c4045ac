"""Any text, and unigram models made of near-ties: WordPieces as SentencePiece."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.encoding.cache.word_cache import ENTRY
from corpora.encoding.sentencepiece.charsmap import read_rules
from corpora.encoding.sentencepiece.model_proto import read_model
from corpora.encoding.sentencepiece.unigram_engine import Engine, engine
from corpora.encoding.sentencepiece.unigram_viterbi import best_pieces, room_for
from corpora.text.normalise import CCNET, Normaliser
from tests.reference.sentencepiece_lines import Pair, normal, train, with_pieces
from tests.reference.unigram_margins import best_and_limit

CASED = Normaliser(lower_case=False, remove_accents=False)
MODES = [(CCNET, "lines"), (CCNET, "ccnet"), (CASED, "lines"), (None, "shards")]
SAMPLE = [
    "hola mundo, adiós a todo el mundo. año 1984",
    "東京は日本の首都",
    "서울은 대한민국의 수도",
    "ГОД года Σ σ ς",
]


@lru_cache
def model(rules: str = "nmt_nfkc") -> bytes:
    return train(SAMPLE * 30, 160, rules)


@lru_cache
def pair(normaliser: Normaliser | None, mode: str) -> Pair:
    return Pair(model(), normaliser, mode)


SPECIAL = "ÁñΣσς\u0301\u0327\u0308\u0315\u3099ﾞｶｹ\n\t \r19–—…»．\xa0\x85\u2028▁\x00\u200dﷺ¨½İㅠㄱㅏ日本の"
SPECIAL += "가각\u1100\u1161\u11a8\U0001d165\U0001d15e"
TEXT = st.text(st.sampled_from(SPECIAL) | st.characters(codec="utf-8"), max_size=60)


@pytest.mark.parametrize(("normaliser", "mode"), MODES)
@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT, max_size=6))
def test_any_text(normaliser: Normaliser | None, mode: str, documents: list[str]) -> None:
    found = pair(normaliser, mode)
    assert found.words(documents) == found.slow(documents)


@pytest.mark.parametrize(("normaliser", "mode"), MODES)
def test_random_neighbours(normaliser: Normaliser | None, mode: str) -> None:
    """Pairs and triples of what rules join, of marks, and of anything else, also next to spaces."""
    rules = read_rules(read_model(model(), "m").charsmap)
    drawn = random.Random(4)
    groups = [sorted(rules.starts), sorted(rules.continuations), sorted(rules.alone), list(SPECIAL), list("aé. ")]
    marks = [chr(c) for c in range(0x20000) if 0x300 <= c < 0x370 or 0x590 <= c < 0x610 or 0x1D165 <= c < 0x1D173]
    groups += [marks, [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]]
    documents = [
        "".join(drawn.choice(drawn.choice(groups)) for _ in range(drawn.randrange(2, 8))) for _ in range(20_000)
    ]
    found = pair(normaliser, mode)
    fast, slow = found.words(documents), found.slow(documents)
    assert [d for d, a, b in zip(documents, fast, slow, strict=True) if a != b] == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2.0**-18, 2.0**-21, 1e-3]))
def test_models_of_near_ties(seed: int, spread: float) -> None:
    """Scores by length but for a small part, so that nearly every choice is a near-tie at some score of the line."""
    drawn = random.Random(seed)
    pieces = {"▁": -2.0}
    for _ in range(60):
        text = "".join(drawn.choice("abcあ") for _ in range(drawn.randrange(1, 6)))
        score = np.float32(-1.37 * len(text) + drawn.choice((-1, 0, 1)) * spread * drawn.random())
        pieces["▁" * drawn.randrange(2) + text] = float(score)
    found = Pair(with_pieces(model(), normal(pieces)), None, "shards")
    lines = [
        " ".join("".join(drawn.choice("abcあd") for _ in range(drawn.randrange(1, 12))) for _ in range(words))
        for words in (1, 5, 50, 500)
    ]
    assert found.words(lines) == found.slow(lines)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_limits_are_those_of_the_bound(seed: int) -> None:
    """The kernel's pieces and limits are those of the bound as it is written."""
    drawn = random.Random(seed)
    texts = {"".join(drawn.choice("abc") for _ in range(drawn.randrange(1, 5))) for _ in range(14)}
    scores = {text: float(np.float32(-2.2 * len(text) - 0.2 * drawn.random())) for text in [*sorted(texts), "▁"]}
    if drawn.random() < 0.5:
        scores["▁a"] = float(np.float32(-3.1))
    made = engine(with_pieces(model(), normal(scores)), None)
    unknown = float(np.float32(min(scores.values())) - np.float32(10))
    for _ in range(20):
        word = "▁" + "".join(drawn.choice("abcabcabcx") for _ in range(drawn.randrange(1, 20)))
        pieces, limit = best_and_limit(word, scores, unknown)
        found, entry = _by_kernel(made, word)
        assert found == [piece if piece in scores else "?" for piece in _merged(pieces, scores)]
        assert entry["limit"] == pytest.approx(limit, rel=1e-5, abs=1e-3)


def _merged(pieces: list[str], scores: dict[str, float]) -> list[str]:
    """Runs of unknown characters are one piece."""
    out: list[str] = []
    known = True
    for piece in pieces:
        if piece in scores or known:
            out.append(piece)
        known = piece in scores
    return out


def _by_kernel(made: Engine, word: str) -> tuple[list[str], np.void]:
    """The word's pieces, `?` for unknown ones, and its entry."""
    symbols = made.symbols(word)
    entries, pool = np.zeros(1, ENTRY), np.full(len(word), 2**31, np.uint32)
    values = np.arange(made.processor.get_piece_size(), dtype=np.uint32)
    starts, words = np.array([0, len(word)]), np.zeros(1, np.int64)
    unknowns = np.empty((len(word), 3), np.int64)
    given_ = (symbols, starts, words, entries, made.trie.nodes, made.scoring, values, pool, 0, unknowns)
    end, _ = best_pieces(*given_, room_for(starts))
    known = [int(value) < 2**31 for value in pool[:end]]
    return [made.processor.id_to_piece(int(v)) if k else "?" for v, k in zip(pool, known, strict=False)], entries[0]
