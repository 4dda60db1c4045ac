"""`tamiz generate` for every family: which ids may appear, conventions of bytes, and texts drawn at random."""

from __future__ import annotations

import json

import msgspec
import pytest
import torch

from corpora.errors import BadArgument
from tamiz.trainer.families.decoding import Sampling, choosing
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.generation import generate
from tests.command import tamiz
from tests.make_shards import VOCAB_SIZE, make_tokenizer
from tokenizer_train.bytes import export_bytes

pytestmark = pytest.mark.usefixtures("one_thread")

T5_TINY = T5(vocab_size=VOCAB_SIZE + 8, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1)
LLAMA = Llama(
    vocab_size=VOCAB_SIZE + 8, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2,
    max_position_embeddings=64,
)  # fmt: skip
GPTJ = GptJ(
    vocab_size=VOCAB_SIZE + 8, hidden_size=16, num_layers=1, num_heads=2, rotary_dim=4, max_position_embeddings=64
)  # fmt: skip
TEXTS = {"t5": "palabra0 <extra_id_0> palabra1 <extra_id_1>", "llama": "palabra0", "gptj": "palabra0"}


def folder_of(family, out):
    """A random model of the family, with a tokenizer that has fewer ids than it has rows."""
    made = make_tokenizer(out)
    family.build(seed=0).save_pretrained(made)
    return made


@pytest.mark.parametrize("family", [T5_TINY, LLAMA, GPTJ], ids=["t5", "llama", "gptj"])
def test_ids_that_no_text_has_never_appear(tmp_path, family):
    """Padding, unknown, sentinels, and rows that no token has, under a model that draws nearly uniformly."""
    folder = folder_of(family, tmp_path / "m")
    text = TEXTS[family.family]
    seen = {generate(folder, text, max_new_tokens=12, sampling=Sampling(temperature=50.0, seed=n)) for n in range(6)}
    assert len(seen) == 6
    for made in seen:
        assert "extra_id" not in made
        assert "<unk>" not in made
        assert "<pad>" not in made
        assert all(word.startswith("palabra") for word in made.split())


def test_texts_drawn_at_random_depend_on_their_seed_alone(tmp_path):
    folder = folder_of(LLAMA, tmp_path / "m")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = generate(folder, "palabra0", sampling=Sampling(top_p=0.9, seed=3))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == generate(folder, "palabra0", sampling=Sampling(top_p=0.9, seed=3))
    assert first != generate(folder, "palabra0", sampling=Sampling(top_p=0.9, seed=4))
    cold = generate(folder, "palabra0", max_new_tokens=5, sampling=Sampling(temperature=1e-4))
    assert cold == generate(folder, "palabra0", max_new_tokens=5, num_beams=1)


def test_all_ids_may_be_drawn():
    """transformers draws from the 50 most likely ones, unless told otherwise."""
    with choosing(4, Sampling(temperature=2.0, top_p=0.5)) as how:
        assert how == {"num_beams": 1, "do_sample": True, "temperature": 2.0, "top_p": 0.5, "top_k": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", 0], "temperature is 0.0; it must be above 0 and finite"),
        (["--top-p", 1.5], "top-p is 1.5; it must be above 0 and at most 1"),
        (["--seed", 1], "--seed is for a text drawn at random: add --temperature or --top-p"),
        (["--top-p", 0.5, "--num-beams", 4], "--num-beams searches for the most likely text"),
    ],
)
def test_options_that_do_not_fit_are_refused(capsys, tmp_path, options, message):
    code, out, error = tamiz(capsys, "generate", tmp_path, "x", *options)
    assert (code, out, len(error.strip().splitlines())) == (2, "", 1)
    assert message in error


def test_the_command_draws(capsys, tmp_path):
    folder = folder_of(GPTJ, tmp_path / "m")
    told = ("generate", folder, "palabra0", "--max-new-tokens", 4, "--top-p", 0.8, "--seed", 5)
    code, out, error = tamiz(capsys, *told)
    assert code == 0, error
    assert out.startswith("palabra0")
    assert tamiz(capsys, *told)[1] == out


def bytes_model(folder, convention):
    """A T5 of bytes that copies nothing but tells what it reads: returns it with its folder."""
    family = msgspec.structs.replace(T5_TINY, vocab_size=384)
    family.build(seed=0).save_pretrained(folder)
    if convention == "google":
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    else:
        export_bytes(100, folder)
    return folder


@pytest.mark.parametrize(("convention", "first", "step"), [("google", 258, -1), ("transformers", 259, 1)])
def test_the_sentinels_of_bytes_are_those_of_the_weights(tmp_path, monkeypatch, convention, first, step):
    """What the model reads and writes, while the real `generate` of transformers runs."""
    from transformers import T5ForConditionalGeneration

    folder, calls, real = bytes_model(tmp_path, convention), [], T5ForConditionalGeneration.generate

    def recorded(model, **given):
        calls.append(given)
        return real(model, **given)

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", recorded)
    made = generate(folder, "año <extra_id_0> y <extra_id_1>", max_new_tokens=5)
    assert made.startswith("año ")
    assert " y " in made
    ids = [*(b + 3 for b in "año ".encode()), first, *(b + 3 for b in b" y "), first + step, 1]
    assert calls[0]["input_ids"].tolist() == [ids]
    assert calls[1]["decoder_input_ids"][0, 1] == first
    assert [c["decoder_input_ids"][0, -1].item() for c in calls] == [first, first + step]
    assert [c["eos_token_id"] for c in calls] == [[1, first + step], [1, first + 2 * step]]
    assert {0, 2, first} <= set(calls[0]["suppress_tokens"])
    assert [c["begin_suppress_tokens"] for c in calls] == [c["eos_token_id"] for c in calls]  # no span stays empty
    assert calls[1]["decoder_input_ids"].shape[1] > 3  # the first span's text, too


def test_more_spans_than_sentinels_are_refused(tmp_path):
    folder = bytes_model(tmp_path, "google")
    text = " ".join(f"a <extra_id_{k}>" for k in range(12))
    with pytest.raises(BadArgument, match="the text has 12 spans, but the tokenizer has no <extra_id_11>"):
        generate(folder, text)
