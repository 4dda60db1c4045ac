"""Every other document of a real shard of each language: the product's scores against the plain Python loop."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import kenlm
import pytest
import sentencepiece
import zstandard

from corpora.perplexity.model import PerplexityModel
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.conftest import SHARED
from tests.reference import kenlm_loop

pytestmark = pytest.mark.slow

LANGUAGES = ("en", "es", "ja", "ko", "pt", "zh")
TRAINED_ON = 700  # documents


def texts_of(shard: Path) -> list[str]:
    with zstandard.open(shard, "rb") as file:
        return [json.loads(line)["text"] for line in file.read().splitlines()]


def check(lm: Path, mode: str, texts: list[str]) -> None:
    texts = texts[::2]  # kenlm's loop is slow
    tokenizer = None
    if mode != "bertin":
        tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(lm.with_suffix(".spiece.model")))
    loop = kenlm.Model(str(lm))
    perplexity, lengths = PerplexityModel(lm).score_with_lengths(texts)
    found = zip(perplexity.tolist(), lengths.tolist(), strict=True)
    different = [
        row
        for row, (text, scored) in enumerate(zip(texts, found, strict=True))
        if scored != kenlm_loop.perplexity(loop, tokenizer, mode, text)
    ]
    assert different == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_of_every_language(language: str, tmp_path: Path) -> None:
    shards = sorted((SHARED / "corpora" / language).glob("*.jsonl.zst"))
    if not shards:
        pytest.skip(f"no ../shared/corpora/{language} beside the checkout")
    texts = texts_of(shards[0])
    settings = LmSettings(order=4, train_tokenizer=8000)
    train_lm(itertools.islice(texts, TRAINED_ON), tmp_path / "lm.bin", settings=settings)
    check(tmp_path / "lm.bin", "lines", texts)


@pytest.mark.parametrize("mode", ["ccnet", "bertin"])
def test_other_modes(mode: str, es_shards: list[Path], tmp_path: Path) -> None:
    texts = texts_of(es_shards[0])
    settings = LmSettings(order=5, words=True) if mode == "bertin" else LmSettings(mode="ccnet", train_tokenizer=8000)
    train_lm(itertools.islice(texts, TRAINED_ON), tmp_path / "lm.bin", settings=settings)
    check(tmp_path / "lm.bin", mode, texts)
