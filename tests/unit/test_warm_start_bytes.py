"""Warm starts of byte models: their sentinels go by one of several conventions, which must not be mixed."""

from __future__ import annotations

import json

import msgspec
import pytest

from corpora.errors import BadArgument
from corpora.tokens.facts import SentinelIds
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.inputs import check_inputs
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.make_shards import make_shards

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

SETTINGS = TrainSettings(steps=2, batch_size=4, num_threads=1, validate_every=0, keep_checkpoint=False)


def byte_model(folder, config):
    """A T5 1.1 of bytes with ByT5's 384 rows."""
    family = T5(
        vocab_size=384, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1,
        feed_forward="gated-gelu", tie_embeddings=False,
    )  # fmt: skip
    family.build(seed=3).save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | family.config_extras))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return family


def byte_shards(folder, first, step):
    from corpora.encoding import load_encoder

    known = {"sentinel_ids": {"first": first, "step": step, "count": 11}}
    return make_shards(folder, vocab_size=259, tokenizer_sha256=load_encoder("byt5").sha256, **known)


def test_mixed_conventions_of_byt5_are_refused(tmp_path):
    """google's weights know 258 and downwards, whatever ByT5Tokenizer calls 259; three conventions are told apart."""
    family = byte_model(tmp_path / "google", {"tokenizer_class": "ByT5Tokenizer", "extra_ids": 125})
    good = byte_shards(tmp_path / "good", 258, -1)
    byt5 = type(tmp_path)("byt5")
    assert check_inputs(good, byt5, family, init=str(tmp_path / "google")).facts.sentinel_ids == SentinelIds(
        first=258, step=-1, count=11
    )
    for name, first, step, words in (
        ("hf", 259, 1, "259 and upwards"),
        ("collator", 383, -1, "383 and downwards"),
        ("turned", 258, 1, "258 and upwards"),
    ):
        bad = byte_shards(tmp_path / name, first, step)
        with pytest.raises(BadArgument) as error:
            check_inputs(bad, byt5, family, init=str(tmp_path / "google"))
        assert f"mark spans with ids {words}, but the weights of" in str(error.value)
        assert "know 258 and downwards: build the shards with the tokenizer byt5" in str(error.value)


def test_a_byt5_trained_from_googles_convention_says_so(tmp_path):
    """The exported tokenizer has google's sentinels by name, and the folder starts another training."""
    from transformers import AutoTokenizer

    family = byte_model(tmp_path / "google", {"tokenizer_class": "ByT5Tokenizer", "extra_ids": 125})
    shards, byt5 = byte_shards(tmp_path / "s", 258, -1), type(tmp_path)("byt5")
    settings = msgspec.structs.replace(SETTINGS, init=str(tmp_path / "google"))
    train(shards, byt5, tmp_path / "m", family, settings, report=lambda _: None)
    auto = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert auto("año <extra_id_0> y").input_ids == [*(b + 3 for b in "año ".encode()), 258, 35, ord("y") + 3, 1]
    assert auto.decode([*(b + 3 for b in "한국".encode()), 257]) == "한국<extra_id_1>"
    again = msgspec.structs.replace(SETTINGS, init=str(tmp_path / "m"))
    train(shards, byt5, tmp_path / "n", family, again, report=lambda _: None)
    with pytest.raises(BadArgument, match="know 258 and downwards"):
        check_inputs(byte_shards(tmp_path / "hf", 259, 1), byt5, family, init=str(tmp_path / "m"))
