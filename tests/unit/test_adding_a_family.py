"""An outsider's model family: one module, named by TAMIZ_EXTENSIONS, and no file of tamiz is touched."""

from __future__ import annotations

import pytest

from tests import outsider
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

MODEL = f"""
[model]
family = "toy-gpt2"
vocab_size = {VOCAB_SIZE}

[train]
steps = 2
batch_size = 4
num_threads = 1
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the family, a model of it, a tokenizer and causal shards."""
    folder = tmp_path_factory.mktemp("outsider")
    outsider.copy_toy("family", folder)
    (folder / "toy.toml").write_text(MODEL)
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "shards", tokenizer=tokenizer, objective="causal", widths=(17, 0))
    make_shards(folder / "corrupted", tokenizer=tokenizer)
    return folder


def tamiz(home, *arguments, extensions="family", text=None):
    return outsider.tamiz(home, *arguments, extensions=extensions, text=text)


def test_it_trains_and_transformers_loads_it(home):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trained = tamiz(home, "train", "--shards", "shards", "--model", "toy.toml", "--out", "model")
    assert trained.returncode == 0, trained.stderr
    model = AutoModelForCausalLM.from_pretrained(home / "model")
    assert type(model).__name__ == "GPT2LMHeadModel"
    assert (model.config.n_layer, model.config.eos_token_id) == (2, 1)
    assert AutoTokenizer.from_pretrained(home / "model").encode("palabra0", add_special_tokens=False) == [3]
    card = (home / "model" / "README.md").read_text()
    assert "# A GPT-2 trained with tamiz" in card
    assert "tags:\n- toy-gpt2\n- tamiz\n" in card
    assert tamiz(home, "verify", "model").returncode == 0
    again = tamiz(home, "train", "--shards", "shards", "--model", "toy.toml", "--out", "model")
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)
    made = tamiz(home, "generate", "model", "--max-new-tokens", "2", text="palabra0 palabra1\n")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("palabra0 palabra1")


def refusal(done):
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_mistakes_are_one_line(home):
    told = ("train", "--shards", "shards", "--model", "toy.toml", "--out", "other")
    assert "it must be one of t5, llama" in refusal(tamiz(home, *told, extensions=""))
    corrupted = tamiz(home, "train", "--shards", "corrupted", "--model", "toy.toml", "--out", "other")
    assert "model.family is 'toy-gpt2': build shards with --objective causal" in refusal(corrupted)
    (home / "narrow.toml").write_text(MODEL.replace("[train]", "positions = 15\n[train]"))
    narrow = tamiz(home, "train", "--shards", "shards", "--model", "narrow.toml", "--out", "other")
    assert "has rows of 16 ids to read, but this GPT-2 reads at most 15" in refusal(narrow)
    (home / "wrong.toml").write_text(MODEL.replace("[train]", "width = 8\nd_kv = 8\n[train]"))
    wrong = tamiz(home, "train", "--shards", "shards", "--model", "wrong.toml", "--out", "other")
    assert "model.d_kv is for family t5, not toy-gpt2: remove it" in refusal(wrong)
    assert not (home / "other").exists()
