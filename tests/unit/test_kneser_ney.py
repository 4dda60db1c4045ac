"""The estimator: a probability distribution after every context, and the same figures as dictionaries give."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import json
import random
from collections import defaultdict
from pathlib import Path

import kenlm
import numpy as np
import pytest
import zstandard

from corpora.errors import BadArgument
from corpora.perplexity.kenlm_binary import write_kenlm_binary
from corpora.perplexity.kneser_ney import NgramModel, estimate, log10
from corpora.perplexity.ngram_counts import sort_text
from tests.invented import sentences
from tests.reference.kneser_ney_dictionary import DictionaryModel

Sentences = list[list[str]]


def numbered(lines: Sentences, dtype: type = np.uint16) -> tuple[np.ndarray, list[str]]:
    """(ids, words): `<s>` words `</s>` for every line, words numbered by first occurrence."""
    ids: defaultdict[str, int] = defaultdict(itertools.count(3).__next__)
    text = [i for line in lines for i in (1, *(ids[w] for w in line), 2)]
    return np.array(text, dtype), ["<unk>", "<s>", "</s>", *ids]


def as_dictionary(model: NgramModel, words: list[str]) -> dict[tuple[str, ...], tuple[np.float32, np.float32]]:
    names = np.array(words, object)[model.kept_words]
    found = {}
    for order, table in enumerate(model.tables, 1):
        backoffs = table.log10_backoff if table.log10_backoff is not None else np.zeros(len(table.ends), np.float32)
        ngrams = map(tuple, names[model.ngrams(order)].tolist())
        found.update(zip(ngrams, zip(table.log10_probability, backoffs, strict=True), strict=True))
    return found


@pytest.fixture(scope="module")
def real_lines(es_shards: list[Path]) -> Sentences:
    """1,000 lines of real Spanish, in lower-case words."""
    with zstandard.open(es_shards[0], "rt", encoding="utf-8", newline="\n") as file:
        texts = (json.loads(line)["text"] for line in file)
        lines = (line.lower().split() for text in texts for line in text.split("\n"))
        return list(itertools.islice((line for line in lines if line), 1000))


@pytest.mark.parametrize("order", [2, 3, 5])
def test_equal_to_dictionaries_on_invented_text(order: int) -> None:
    lines = sentences(300, words=60)
    assert (
        as_dictionary(estimate(numbered(lines)[0], order), numbered(lines)[1])
        == DictionaryModel(lines, order).log10()
    )


def test_equal_to_dictionaries_on_real_lines(real_lines: Sentences) -> None:
    text, words = numbered(real_lines)
    found = as_dictionary(estimate(text, 5), words)
    assert found == DictionaryModel(real_lines, 5).log10()
    assert len(found) > 50_000


@pytest.mark.parametrize("prune", [(0, 0, 1), (0, 1, 2), (1, 1, 2)])
def test_pruned_equal_to_dictionaries(prune: tuple[int, ...]) -> None:
    lines = sentences(300, words=150)
    text, words = numbered(lines)
    found = as_dictionary(estimate(text, 3, prune=prune), words)
    assert found == DictionaryModel(lines, 3, prune).log10()
    assert len(found) < sum(estimate(text, 3).counts)


def test_tiny_texts_equal_to_dictionaries() -> None:
    """So little that discounts fall back, a sentence's start is everywhere, and high orders are empty."""
    for seed in range(60):
        lines = sentences(random.Random(seed).randint(1, 6), words=4, seed=seed)
        text, words = numbered(lines)
        expected = DictionaryModel(lines, 4).log10()
        if not np.isfinite(list(expected.values())).all():
            with pytest.raises(BadArgument, match="too little text"):
                estimate(text, 4)
            continue
        assert as_dictionary(estimate(text, 4), words) == expected, lines


@pytest.mark.parametrize("prune", [None, (0, 0, 1)])
def test_probabilities_sum_to_one(tmp_path: Path, prune: tuple[int, ...] | None) -> None:
    """Over the whole vocabulary, after 200 contexts of each length 0 to 4, as kenlm itself reads the file."""
    lines = sentences(2000)
    text, words = numbered(lines)
    write_kenlm_binary(tmp_path / "lm.bin", estimate(text, 5, prune=prune), words)
    model = kenlm.Model(str(tmp_path / "lm.bin"))
    predicted = [word for word in words if word != "<s>"]
    draw = random.Random(1)
    for length in range(5):
        for _ in range(200):
            state = _state_after(model, _context(draw, lines, words, length))
            out = kenlm.State()
            total = sum(10.0 ** model.BaseScore(state, word, out) for word in predicted)
            assert abs(total - 1) < 1e-4


def _context(draw: random.Random, lines: Sentences, words: list[str], length: int) -> list[str]:
    """Three in four from the text, the start of a sentence too; the rest of words at random."""
    if draw.random() < 0.25:
        return draw.choices(words[3:], k=length)
    line = ["<s>", *draw.choice(lines)]
    start = draw.randint(0, max(0, len(line) - length))
    return line[start : start + length]


def _state_after(model: kenlm.Model, context: list[str]) -> kenlm.State:
    state = kenlm.State()
    if context[:1] == ["<s>"]:
        model.BeginSentenceWrite(state)
    else:
        model.NullContextWrite(state)
    for word in context[context[:1] == ["<s>"] :]:
        following = kenlm.State()
        model.BaseScore(state, word, following)
        state = following
    return state


def test_ids_of_32_bits_give_the_same_model() -> None:
    lines = sentences(200)
    narrow, words = numbered(lines)
    wide, _ = numbered(lines, np.uint32)
    assert as_dictionary(estimate(narrow, 4), words) == as_dictionary(estimate(wide, 4), words)


def test_more_than_65536_words_sort_as_they_should() -> None:
    words = np.random.default_rng(0).integers(3, 100_000, 150_000).astype(np.uint32)
    found = sort_text(words, 2)
    before = np.concatenate([[1], words[:-1]])  # the last word decides, then the one before it
    assert np.array_equal(found.positions - 1, np.lexsort((before, words)))


def test_log10_is_that_of_libm() -> None:
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    libm.log10f.restype, libm.log10f.argtypes = ctypes.c_float, [ctypes.c_float]
    values = np.random.default_rng(0).uniform(1e-8, 1, 50_000).astype(np.float32)
    assert log10(values).tolist() == [libm.log10f(v) for v in values.tolist()]


def test_discounts_of_nothing_are_refused() -> None:
    with pytest.raises(BadArgument, match="too little text for 1-grams"):
        estimate(numbered(sentences(2, words=2, seed=26))[0], 2)


def test_no_sentence_is_refused() -> None:
    with pytest.raises(BadArgument, match="no sentence"):
        estimate(np.zeros(0, np.uint16), 3)


def test_a_sentence_end_is_never_pruned() -> None:
    with pytest.raises(BadArgument, match=r"below the number of sentences \(5\)"):
        estimate(numbered(sentences(5))[0], 2, prune=(5,))
