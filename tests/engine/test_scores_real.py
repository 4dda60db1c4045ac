"""Every document of a real shard: the product's scores against the plain Python loop, in each mode."""

from __future__ import annotations

import json

import kenlm
import pytest
import sentencepiece
import zstandard

from corpora.perplexity.model import PerplexityModel
from corpora.perplexity.normalise import normalise
from corpora.perplexity.settings import LmSettings
from tamiz.stages.common import Context
from tamiz.stages.lm import lm_stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def texts(es_shards) -> list[str]:
    with zstandard.open(es_shards[4], "rb") as file:
        return [json.loads(line)["text"] for line in file.read().splitlines()]


def loop(model, tokenizer, texts, mode):
    """DESIGN's definition, word for word."""
    scores = []
    for text in texts:
        lines = [normalise(text)] if mode == "ccnet" else text.split("\n")
        total, length = 0.0, 0
        for line in lines:
            if mode != "bertin":
                line = " ".join(tokenizer.encode(normalise(line) if mode == "lines" else line, out_type=str))
            total += model.score(line)
            length += len(line.split()) + 1
        scores.append(10.0 ** (-total / length))
    return scores


@pytest.mark.parametrize("mode", ["lines", "ccnet", "bertin"])
def test_scores_equal_the_loop(mode, texts, demo, tmp_path):
    words = {"words": True} if mode == "bertin" else {"train_tokenizer": 1000, "mode": mode}
    path = tmp_path / "es.bin"
    lm_stage([str(demo / "clean.jsonl")], path, LmSettings(order=4, **words), Context())
    tokenizer = None if mode == "bertin" else sentencepiece.SentencePieceProcessor(str(tmp_path / "es.spiece.model"))
    assert PerplexityModel(path).score(texts).tolist() == loop(kenlm.Model(str(path)), tokenizer, texts, mode)
