"""What trained models are to others: untied T5s in transformers 4, padded vocabularies cut, brought tokenizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
import pytest
import torch

from corpora.encoding import load_encoder
from corpora.errors import BadArgument, StaleOutput
from tamiz.trainer import checkpoint
from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

SETTINGS = TrainSettings(
    steps=4, batch_size=4, num_threads=1, learning_rate=0.01, weight_decay=0.1, checkpoint_every=2
)
T5_11 = T5(
    vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1,
    feed_forward="gated-gelu", tie_embeddings=False,
)  # fmt: skip
T5_10 = T5(vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=2)
LLAMA = Llama(vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2)
GPTJ = GptJ(vocab_size=VOCAB_SIZE, hidden_size=16, num_layers=1, num_heads=2, rotary_dim=4)
OLD = ["transformers==4.57.3", "huggingface_hub==0.36.0", "tokenizers==0.22.1"]
LOGITS = """
import sys, json, torch, transformers
ids = torch.arange(3, 15)[None]
model, info = transformers.AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1], output_loading_info=True)
logits = model.eval()(input_ids=ids, decoder_input_ids=ids[:, :5]).logits
print(json.dumps([transformers.__version__, logits.double().flatten().tolist(), info["missing_keys"] == []]))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "spans", tokenizer=tokenizer)
    make_shards(folder / "causal", tokenizer=tokenizer, objective="causal", widths=(17, 0))
    return folder


def trained(family, home, out, **settings):
    shards = home / ("spans" if family.family == "t5" else "causal")
    chosen = msgspec.structs.replace(SETTINGS, **settings)
    return train(shards, home / "tokenizer", out, family, chosen, report=lambda _: None)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def untied(home):
    trained(T5_11, home, home / "untied")
    return home / "untied"


def test_an_untied_t5_says_so(untied, home):
    config = json.loads((untied / "config.json").read_bytes())
    assert (config["tie_word_embeddings"], config["scale_decoder_outputs"]) == (False, False)
    from transformers import AutoModelForSeq2SeqLM

    loaded = AutoModelForSeq2SeqLM.from_pretrained(untied)
    assert not torch.equal(loaded.lm_head.weight, loaded.shared.weight)
    assert torch.equal(loaded.lm_head.weight, weights(untied)["lm_head.weight"])
    trained(T5_10, home, home / "tied")
    assert json.loads((home / "tied/config.json").read_bytes()).get("tie_word_embeddings", True) is True


@pytest.fixture(scope="module")
def old_transformers(tmp_path_factory):
    """Python with transformers 4 and this environment's torch."""
    folder = tmp_path_factory.mktemp("old")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-compile"]
    how = ["--retries", "1", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *how, *OLD], capture_output=True, text=True, timeout=240)
    if done.returncode:
        pytest.skip(f"transformers 4 can't be installed: {done.stderr.strip().splitlines()[-1]}")
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "torch.pth").write_text(str(Path(torch.__file__).parents[1]) + "\n")
    return python


@pytest.mark.slow
def test_transformers_4_has_the_same_logits(untied, old_transformers):
    """transformers 4 ties and scales again what transformers 5 saved untied, unless config.json says otherwise."""

    def logits(python, folder):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [str(python), "-c", LOGITS, str(folder)], capture_output=True, text=True, env=environment, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    (old, theirs, whole), (new, ours, _) = logits(old_transformers, untied), logits(sys.executable, untied)
    assert (old.split(".")[0], new.split(".")[0], whole) == ("4", "5", True)
    torch.testing.assert_close(torch.tensor(theirs), torch.tensor(ours), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [T5_11, T5_10, LLAMA, GPTJ], ids=["t5-1.1", "t5", "llama", "gptj"])
def test_a_padded_vocabulary_is_cut_on_export(home, tmp_path, family):
    """The same model, to rounding, as without; checkpoints name the setting, and resume with it."""
    plain = trained(family, home, tmp_path / "plain")
    padded = trained(family, home, tmp_path / "padded", pad_vocabulary_to=50)
    assert padded["parameters"] == plain["parameters"] == family.num_parameters()
    assert padded["validation_loss"] == pytest.approx(plain["validation_loss"], rel=1e-4)
    for name, tensor in weights(tmp_path / "plain").items():
        torch.testing.assert_close(weights(tmp_path / "padded")[name], tensor, atol=2e-3, rtol=1e-3, msg=name)
    assert json.loads((tmp_path / "padded/config.json").read_bytes())["vocab_size"] == VOCAB_SIZE
    state = torch.load(checkpoint.found(tmp_path / "padded")[-1], weights_only=True)
    assert state["made_from"]["train.pad_vocabulary_to"] == 50
    assert "train.pad_vocabulary_to" not in torch.load(checkpoint.found(tmp_path / "plain")[-1])["made_from"]
    with pytest.raises(StaleOutput, match="pad_vocabulary_to"):
        trained(family, home, tmp_path / "padded", steps=6)
    more = trained(family, home, tmp_path / "padded", steps=6, pad_vocabulary_to=50)
    whole = trained(family, home, tmp_path / "whole", steps=6, pad_vocabulary_to=50)
    assert more["validation_loss"] == whole["validation_loss"]


def gpt2_files(folder):
    """A small byte-level BPE as GPT-2's two files, in its folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(["la niña fue al mercado con su madre, la niña"] * 9, trainer)
    folder.mkdir()
    tokenizer.model.save(str(folder))
    return folder


def test_gpt2s_two_files_become_a_tokenizer_json(tmp_path):
    from transformers import AutoTokenizer

    brought = gpt2_files(tmp_path / "gpt2")
    encoder = load_encoder(str(brought))
    known = {"eos_id": encoder.eos_id, "pad_id": encoder.pad_id, "tokenizer_sha256": encoder.sha256}
    shards = make_shards(tmp_path / "s", objective="causal", widths=(17, 0), vocab_size=encoder.vocab_size, **known)
    family = msgspec.structs.replace(GPTJ, vocab_size=320)  # more rows than ids, as GPT-J's
    train(shards, brought, tmp_path / "m", family, SETTINGS, report=lambda _: None)
    auto = AutoTokenizer.from_pretrained(tmp_path / "m")
    texts = ["la niña fue", "한국 y\n  dos"]
    assert [auto(text).input_ids for text in texts] == [ids.tolist() for ids in encoder.encode_batch(texts)]
    assert (auto.eos_token_id, auto.decode(auto(texts[1]).input_ids)) == (encoder.eos_id, texts[1])


def test_a_t5_whose_padding_is_eos_is_refused(home, tmp_path):
    shards = make_shards(tmp_path / "s", tokenizer=home / "tokenizer", pad_id=1)
    with pytest.raises(BadArgument, match="pads with id 1, which is also EOS: a T5 doesn't learn to predict padding"):
        train(shards, home / "tokenizer", tmp_path / "m", T5_10, SETTINGS, report=lambda _: None)


def test_there_is_no_float16():
    """T5's activations overflow in it."""
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'float16'"):
        msgspec.convert({"steps": 1, "precision": "float16"}, TrainSettings)


def test_an_unknown_family_is_refused():
    with pytest.raises(BadArgument, match="family is 'bert'; it must be one of t5, llama, gptj"):
        FAMILIES.convert({"family": "bert", "vocab_size": 100})
