"""Kernels against their readable twins, each alone: on real text, and on text made to be hard."""

from __future__ import annotations

import random
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from corpora.documents.formats.utf8_kernels import is_utf8
from corpora.encoding.cache.word_cache import LineEnds, Words
from corpora.encoding.cache.word_scans import scan, scan_spaced
from corpora.encoding.gpt2.byte_level_bpe import classes
from corpora.encoding.gpt2.words import BLOCK, CARRIED, beginnings
from corpora.encoding.sentencepiece.model_proto import NORMAL, read_model
from corpora.encoding.sentencepiece.piece_trie import NO_PIECE, ROOT, PieceTrie, piece_trie
from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.probing import ProbingModel
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from corpora.texts import Utf8, utf8
from tests.encoders import ODD, demo_texts, sentencepiece_model
from tests.invented import document, sentences
from tests.reference import backoff_scores, gpt2_words, piece_dictionary, spaced_words
from tests.reference import utf8 as utf8_twin

PARTS = [*" \n\tab'sé日12!😀ÿ", "\u3000", "\u2028", "'ll", "  ", "\u0301", "x" * 63]
HARD = st.lists(st.sampled_from(PARTS), max_size=120).map("".join)


# --- n-gram scores


@pytest.mark.parametrize("prune", [(0,), (0, 1, 1)])
def test_scores_are_those_of_the_definition(tmp_path: Path, prune: tuple[int, ...]) -> None:
    lm, arpa = tmp_path / "lm.bin", tmp_path / "lm.arpa"
    settings = LmSettings(order=4, words=True, prune=prune, arpa=str(arpa))
    train_lm([document(n) for n in range(150)], lm, settings=settings)
    ngrams, model, draw = backoff_scores.read_arpa(arpa), ProbingModel(lm, check_lm(lm)), random.Random(2)
    words = [word for sentence in sentences(60) for word in sentence]
    strange = [[draw.choice([*words, "nunca"]) for _ in range(9)] for _ in range(300)]
    lines = [*sentences(60), [], ["nunca"] * 7, *strange]
    ids = model.word_ids([word.encode() for line in lines for word in line])
    offsets = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    expected = [float(backoff_scores.score(line, ngrams, 4)) for line in lines]
    assert model.score_lines(ids, offsets).tolist() == expected


# --- words


def _cut(texts: Utf8, scanned: str, most: int, newline: int = ord(" "), ends_line: bool = False) -> list[str]:
    """All words, block by block of at most `most` words."""
    places = [np.empty(most, np.int64) for _ in range(6)]
    words = Words(places[0], places[1], np.empty(most, np.uint64), places[2])
    ends, lines_of = LineEnds(*places[3:]), np.zeros(len(texts.offsets) - 1, np.int64)
    state = np.array([0, texts.offsets[0], texts.offsets[0]], np.int64)
    found, to = [], (words, ends, lines_of)
    while state[0] < len(lines_of):
        if scanned == "scan":
            count, _ = scan(texts.data, texts.offsets, state, newline, ends_line, 8 * most, *to)
        else:
            count, _ = scan_spaced(texts.data, texts.offsets, state, 8 * most, *to)
        spans = zip(words.starts[:count].tolist(), words.lengths[:count].tolist(), strict=True)
        found += [texts.data[start : start + length].tobytes().decode() for start, length in spans]
    return found


@examples(deadline=None)
@given(st.lists(HARD, max_size=4), st.sampled_from([1, 2, 64, 500]))
def test_words_between_separators(texts: list[str], most: int) -> None:
    for separators, newline in ((" ", ord(" ")), (" \n", ord("\n"))):
        expected = [word for text in texts for word in spaced_words.words_of(text, separators)]
        assert _cut(utf8(texts), "scan", most, newline) == expected
        assert _cut(utf8(texts), "scan", most, newline, ends_line=True) == expected


@examples(deadline=None)
@given(st.lists(HARD, max_size=4), st.sampled_from([1, 2, 64, 500]))
def test_words_with_their_spaces(texts: list[str], most: int) -> None:
    expected = [word for text in texts for word in spaced_words.spaced_words_of(text)]
    assert _cut(utf8(texts), "scan_spaced", most) == expected


def test_words_of_real_text() -> None:
    texts = [*demo_texts(), *ODD]
    expected = [word for text in texts for word in spaced_words.words_of(text, " \n")]
    assert _cut(utf8(texts), "scan", 4096, ord("\n")) == expected
    assert _cut(utf8(texts), "scan_spaced", 4096) == [w for t in texts for w in spaced_words.spaced_words_of(t)]


# --- GPT-2's words


def _gpt2_words(text: str) -> list[str]:
    """Cut by `beginnings`, as `encode_texts` calls it."""
    size = len(text.encode())
    data = np.frombuffer(text.encode() + bytes(2 * BLOCK + 1), np.uint8)
    carried, found, begins = np.zeros(CARRIED, np.uint64), np.zeros(8, np.uint64), []
    for position in range(0, size, BLOCK):
        bits = int(beginnings(data, position, size, data, position, classes(), carried, found))
        begins += [position + place for place in range(BLOCK) if bits >> place & 1]
    return [data[begin:end].tobytes().decode() for begin, end in pairwise([*begins, size])]


@examples(deadline=None)
@given(HARD)
def test_words_of_gpt2s_pattern(text: str) -> None:
    assert _gpt2_words(text) == gpt2_words.words_of(text)


def test_words_of_gpt2s_pattern_in_real_text() -> None:
    """Of characters that Python's Unicode knows: of newer ones each library has its own idea."""
    for text in [*demo_texts(), *ODD]:
        assigned = "".join(c for c in text if unicodedata.category(c) != "Cn")
        assert _gpt2_words(assigned) == gpt2_words.words_of(assigned)


# --- pieces


def _walked(trie: PieceTrie, text: str, begin: int) -> list[tuple[int, int]]:
    """The pieces that the trie finds."""
    found, slot = [], ROOT
    for end in range(begin, len(text)):
        symbol = trie.symbols.get(text[end])
        if symbol is None:
            break
        child = int(trie.nodes[slot]["base"]) + symbol
        if child >= len(trie.nodes) or trie.nodes[child]["parent"] != slot:
            break
        slot = child
        if trie.nodes[slot]["piece"] != NO_PIECE:
            found.append((end + 1, int(trie.nodes[slot]["piece"])))
    return found


def test_pieces_of_a_trie() -> None:
    model = read_model(sentencepiece_model("unigram"), "unigram")
    pieces = {piece.text: number for number, piece in enumerate(model.pieces) if piece.type == NORMAL}
    trie = piece_trie(model)
    texts = [*pieces, *(f"▁{word}" for text in demo_texts()[:20] for word in text.split()), "", "☃", "▁▁a\0"]
    for text in texts:
        for begin in range(len(text)):
            assert _walked(trie, text, begin) == piece_dictionary.pieces_at(text, begin, pieces)
    scores = {int(node["piece"]): float(node["score"]) for node in trie.nodes if node["piece"] != NO_PIECE}
    assert scores == {number: model.pieces[number].score for number in pieces.values()}


# --- UTF-8

BYTES = [b"a", "é".encode(), "日".encode(), "😀".encode(), *map(bytes.fromhex, ("80", "e0", "eda0", "f490"))]


@examples(deadline=None)
@given(st.lists(st.sampled_from(BYTES), max_size=90).map(b"".join), st.binary(max_size=4))
def test_utf8(data: bytes, end: bytes) -> None:
    for part in (data, data + end, data + "año".encode() * 30):
        assert is_utf8(np.frombuffer(part, np.uint8)) == utf8_twin.is_utf8(part)


def test_the_twin_of_utf8_is_python() -> None:
    for first in range(0x80, 0x100):
        for second in range(0x70, 0x100):
            for rest in (b"", b"\x80", b"\x80\xbf", b"\x80a"):
                data = bytes([first, second]) + rest
                assert utf8_twin.is_utf8(data) == (data.decode(errors="ignore").encode() == data)
