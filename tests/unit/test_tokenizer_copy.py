"""AutoTokenizer of a trained model's folder adds what the rows have, no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from transformers import AutoTokenizer

from corpora.encoding import Encoder, load_encoder
from corpora.texts import utf8
from corpora.tokens.build import build_item
from corpora.tokens.build_facts import shard_facts
from corpora.tokens.objectives import Causal, SpanCorruption
from corpora.tokens.settings import ShardSettings
from tamiz.trainer.tokenizer_copy import copy_tokenizer
from tests.unit.test_tokenizer_folders import FAST, KINDS, SENTENCES, bpe, made
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

TRAINED = {"unigram": 110, "bpe": 340}


@pytest.fixture(scope="module", params=[*TRAINED, "byte_level with BOS", "word_piece"])
def folder(request, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    if request.param in TRAINED:
        settings = {"kind": request.param, "vocab_size": TRAINED[request.param], "extra_ids": 40, "sample": 100}
        train_tokenizer(lambda: SENTENCES * 20, out, TokenizerSettings(**settings, fill_unused=True))
        return out
    tokenizer, config = KINDS[request.param.split()[0]](), {**FAST, "additional_special_tokens": []}
    tokenizer.add_special_tokens(["<s>", *(f"<extra_id_{k}>" for k in range(40))])
    if "BOS" in request.param:
        config |= {"bos_token": "<s>", "add_bos_token": True, "add_eos_token": True}
    return made(out, {"tokenizer.json": tokenizer, "tokenizer_config.json": {**config, "bos_token": "<s>"}})


def facts_of(out: Path, settings: ShardSettings, encoder: Encoder) -> Any:
    built = build_item([utf8(SENTENCES)], encoder, settings, folder=str(out), part="part-00000")
    facts = shard_facts([built], encoder, settings)
    return msgspec.convert(facts.asdict(), type(facts))


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_bos_and_eos_are_those_of_the_rows(folder: Path, tmp_path: Path, bos: bool, masked: bool) -> None:
    encoder = load_encoder(str(folder))
    bos = bos and encoder.bos_id is not None
    kind = SpanCorruption if masked else Causal
    facts = facts_of(tmp_path / "shards", kind(sequence_length=24, bos=bos), encoder)
    (tmp_path / "model").mkdir()
    copy_tokenizer(folder, tmp_path / "model", facts, masked=masked)
    auto = AutoTokenizer.from_pretrained(tmp_path / "model")
    plain = encoder.encode_batch(["la casa"])[0].tolist()
    before, after = [encoder.bos_id] if bos else [], [encoder.eos_id] if masked else []
    assert auto("la casa").input_ids == [*before, *plain, *after]
    assert auto("la casa", add_special_tokens=False).input_ids == plain
    assert load_encoder(str(tmp_path / "model")).encode_batch(SENTENCES)[0].tolist() == (
        encoder.encode_batch(SENTENCES)[0].tolist()
    )
    again = tmp_path / "again"
    again.mkdir()
    copy_tokenizer(tmp_path / "model", again, facts, masked=masked)  # nothing is left to change
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes()


def test_dropout_stays_behind(tmp_path: Path) -> None:
    folder = made(tmp_path / "t", {"tokenizer.json": bpe(0.5), "tokenizer_config.json": FAST})
    facts = facts_of(tmp_path / "shards", Causal(sequence_length=24), load_encoder(str(folder)))
    (tmp_path / "model").mkdir()
    copy_tokenizer(folder, tmp_path / "model", facts, masked=False)
    auto = AutoTokenizer.from_pretrained(tmp_path / "model")
    expected = load_encoder(str(folder)).encode_batch(SENTENCES)[0].tolist()
    assert all(auto(SENTENCES[0]).input_ids == expected for _ in range(5))


def test_files_that_agree_are_copied_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    settings = TokenizerSettings(vocab_size=110, extra_ids=40, sample=100, fill_unused=True)
    train_tokenizer(lambda: SENTENCES * 20, folder, settings)
    facts = facts_of(tmp_path / "shards", SpanCorruption(sequence_length=24), load_encoder(str(folder)))
    (tmp_path / "model").mkdir()
    copy_tokenizer(folder, tmp_path / "model", facts, masked=True)
    for path in (tmp_path / "model").iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()
    assert "add_bos_token" not in json.loads((tmp_path / "model" / "tokenizer_config.json").read_bytes())
