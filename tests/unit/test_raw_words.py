"""Raw lines: which words KenLM sees in them, and how many Python counts."""

from __future__ import annotations

import sys

import kenlm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.probing import ProbingModel
from corpora.perplexity.raw_words import raw_lines
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.invented import document

SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
NEAR_SPACES = list(
    "\0\x08\x0e\x1b!\x7f\x84\x86\x9f\xa1\u167f\u1681\u1fff\u200b\u2027\u202a\u2030\u205e\u2060\u2fff\u3001\ufeff"
)
TEXT = st.text(st.sampled_from(["b", "a", "é", "日", "😀", "\n", *SPACES, *NEAR_SPACES]), max_size=60)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProbingModel, kenlm.Model]:
    path = tmp_path_factory.mktemp("raw") / "lm.bin"
    train_lm([document(n) for n in range(200)], path, settings=LmSettings(order=3, words=True))
    return ProbingModel(path, check_lm(path)), kenlm.Model(str(path))


def read(model: ProbingModel, texts: list[str], *, split: bool = True) -> tuple[list[int], list[float], list[int]]:
    """(lines of each text, score and length of each line); the last text ends where the buffer does."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    lines = raw_lines(model, np.frombuffer(b"".join(encoded), np.uint8), offsets, split=split)
    scores = model.score_lines(lines.ids, lines.offsets)
    return lines.lines_per_document.tolist(), scores.tolist(), lines.lengths.tolist()


def as_defined(model: kenlm.Model, texts: list[str]) -> tuple[list[int], list[float], list[int]]:
    lines = [line for text in texts for line in text.split("\n")]
    counts = [len(text.split("\n")) for text in texts]
    return counts, [model.score(line) for line in lines], [len(line.split()) + 1 for line in lines]


@given(texts=st.lists(TEXT, max_size=5))
def test_lines_are_those_of_the_definition(models: tuple[ProbingModel, kenlm.Model], texts: list[str]) -> None:
    assert read(models[0], texts) == as_defined(models[1], texts)


def test_every_character_separates_where_it_does(models: tuple[ProbingModel, kenlm.Model]) -> None:
    """Between words, before them, after them, doubled and at the end of the buffer."""
    characters = [chr(code) for code in range(0x3100) if chr(code) != "\n"]
    texts = [text for c in characters for text in (f"ba{c}ce{c}{c}di", f"{c}ba", f"ba{c}")]
    assert read(models[0], texts) == as_defined(models[1], texts)


def test_long_words_and_long_lines(models: tuple[ProbingModel, kenlm.Model]) -> None:
    texts = ["a" * 100_000, "ba " * 40_000, "\n" * 1000, "ba\0" + "ce " * 1000, "é" * 50_001]
    assert read(models[0], texts) == as_defined(models[1], texts)


def test_words_of_every_length_are_found(models: tuple[ProbingModel, kenlm.Model]) -> None:
    words = ["".join("bace"[n % 4] for n in range(length)) for length in range(30)]
    ids = models[0].word_ids([word.encode() for word in words])
    assert (ids > 0).tolist() == [word in models[1] for word in words]


def test_unsplit_lines_keep_their_newlines(models: tuple[ProbingModel, kenlm.Model]) -> None:
    texts = ["ba\nce di", "\n", ""]
    expected = [models[1].score(text) for text in texts], [len(text.split()) + 1 for text in texts]
    assert read(models[0], texts, split=False) == ([1, 1, 1], *expected)


@given(data=st.binary(max_size=50))
def test_any_bytes_are_read_within_bounds(models: tuple[ProbingModel, kenlm.Model], data: bytes) -> None:
    lines = raw_lines(models[0], np.frombuffer(data, np.uint8), np.array([0, len(data)]), split=True)
    assert len(lines.lengths) == data.count(b"\n") + 1
