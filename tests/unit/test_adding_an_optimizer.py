"""An outsider's optimizer: one module, named by TAMIZ_EXTENSIONS, and no file of tamiz is touched."""

from __future__ import annotations

import json

import torch

from tests import outsider
from tests.command import exit_code
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

MODEL = f"""
[model]
family = "llama"
vocab_size = {VOCAB_SIZE}
hidden_size = 16
intermediate_size = 32
num_layers = 1
num_heads = 2

[train]
steps = 4
batch_size = 4
num_threads = 1
learning_rate = 0.1
warmup_steps = 2
optimizer = "nesterov"
betas = [0.8, 0.9]
"""


def test_it_trains_and_is_unknown_without_its_module(tmp_path, capsys):
    outsider.copy_toy("optimizer", tmp_path)
    (tmp_path / "toy.toml").write_text(MODEL)
    make_shards(tmp_path / "shards", tokenizer=make_tokenizer(tmp_path / "tokenizer"), objective="causal")
    command = ["train", "--shards", "shards", "--model", "toy.toml", "--out", "model"]
    trained = outsider.tamiz(tmp_path, *command, extensions="optimizer")
    assert trained.returncode == 0, trained.stderr
    history = json.loads((tmp_path / "model/metrics.json").read_bytes())["history"]
    losses = [point["loss"] for point in history if "loss" in point]
    assert len(losses) == len(set(losses)) == 4
    assert "| optimizer | nesterov |" in (tmp_path / "model/README.md").read_text()
    state = torch.load(tmp_path / "model/checkpoints/step-00000004.pt", weights_only=True)["optimizer"]
    assert all("momentum_buffer" in one for one in state["state"].values())
    (tmp_path / "still.toml").write_text(MODEL.replace("[0.8, ", "[0.0, "))
    command[4] = "still.toml"
    refused = outsider.tamiz(tmp_path, *command, extensions="optimizer")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "betas has 0 as its first number, the momentum; with nesterov it must be above 0" in refused.stderr
    told = ["train", "--shards", tmp_path / "shards", "--model", tmp_path / "toy.toml", "--out", tmp_path / "no"]
    assert exit_code(*told) == 2
    assert "it must be one of adamw, adafactor, adamwscale" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
