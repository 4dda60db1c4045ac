"""The product's scores are those of the plain loop, bit for bit, on text made to break it, in every mode."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import kenlm
import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.perplexity import PerplexityModel
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.invented import document
from tests.reference import kenlm_loop

TEXTS = [document(n) for n in range(300)]
MODES = ("lines", "ccnet", "bertin")
SPACES = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000"
MARKS = "\u0301\u0323\u0327\u0345\u3099\u094d\u1ab0\u20dd\u0e38"  # of several classes, and two that aren't Mn
SIGMAS = "ΣσςΑΐİIıǅß"
STRANGE = (
    "\0\x01\x7f\u0378\u2581\u200b\u200d\ufeff\ufffd\U0001f468\U000e0041\uac01\u1100\u1161\u11a8日本語ﬁ⑳㌔１٣…—«»’．～"
)
CHARACTERS = st.one_of(
    st.sampled_from("aábceéiñnotuz AN.,0"),
    st.sampled_from(SPACES + MARKS + SIGMAS + STRANGE),
    st.characters(codec="utf-8"),
)
WORDS = st.sampled_from(
    [*{word for text in TEXTS[:40] for word in text.split()}, "\n", "▁", "<unk>", "</s>", "ΑΣ", "Ο\u0301Σ."]
)
LINES = st.lists(WORDS, max_size=12).map(" ".join)
GLUED = st.lists(WORDS, max_size=12).map("".join)
REPEATED = st.builds(
    lambda part, times: part * times, st.one_of(GLUED, st.text(CHARACTERS, max_size=4)), st.integers(1, 300)
)
DOCUMENTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=40), LINES, GLUED, REPEATED), max_size=4).map("\n".join)


class Pair:
    """A model as the product scores with it, and as the loop does."""

    def __init__(self, lm: Path, tokenizer: Path | None, mode: str) -> None:
        self.mode = mode
        self.product = PerplexityModel(lm, tokenizer, mode)
        self.model = kenlm.Model(str(lm))
        self.tokenizer: Any = None
        if tokenizer is not None:
            self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))

    def check(self, texts: list[str]) -> None:
        perplexity, lengths = self.product.score_with_lengths(texts)
        found = list(zip(perplexity.tolist(), lengths.tolist(), strict=True))
        expected = [kenlm_loop.perplexity(self.model, self.tokenizer, self.mode, text) for text in texts]
        assert repr(found) == repr(expected)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """By mode, with a tokenizer whose scores are not rounded: near-ties are decided as SentencePiece decides them."""
    folder = tmp_path_factory.mktemp("pairs")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter("\n".join(TEXTS).lower().split("\n")), model_writer=model, model_type="unigram",
        vocab_size=130, character_coverage=0.99, minloglevel=2,
    )  # fmt: skip
    tokenizer = folder / "tokenizer.model"
    tokenizer.write_bytes(model.getvalue())
    for mode in MODES:
        chosen = {"words": True} if mode == "bertin" else {"mode": mode, "tokenizer": str(tokenizer)}
        train_lm(TEXTS, folder / f"{mode}.bin", settings=LmSettings(order=4, **chosen))
        folder.joinpath(f"{mode}.json").unlink()
    return {mode: Pair(folder / f"{mode}.bin", None if mode == "bertin" else tokenizer, mode) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts=st.lists(DOCUMENTS, max_size=4))
def test_scores_are_those_of_the_loop(pairs: dict[str, Pair], mode: str, texts: list[str]) -> None:
    pairs[mode].check(texts)


@pytest.mark.parametrize("mode", MODES)
def test_long_lines(pairs: dict[str, Pair], mode: str) -> None:
    words = " ".join(TEXTS)
    pairs[mode].check([
        words[:100_000], words.replace("\n", "")[:100_000], words.replace(" ", "")[:100_000], "ba" * 50_000,
        "日" * 40_000, "Σ" * 30_000, "e\u0301\u0323" * 20_000, "\u2581" * 1000, "\0" * 1000, "\n" * 1000, " " * 1000,
        "ñ \n" * 5000,
    ])  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_character_alone_and_between_letters(pairs: dict[str, Pair], mode: str) -> None:
    """Of the planes that have any, a part of the hangul and ideographs left out."""
    codes = [
        *range(0x3400),
        *range(0x4DB0, 0x4E20),
        *range(0xABC0, 0xAC40),
        *range(0xF900, 0x11000),
        *range(0x1F000, 0x1F200),
    ]
    characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    pairs[mode].check(
        [
            "\n".join(f"{c} b{c}a {c}{c}e" for c in characters[start : start + 500])
            for start in range(0, len(characters), 500)
        ]
    )
