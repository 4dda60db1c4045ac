"""Each optimizer with T5 and Llama: killed by SIGKILL and continued, a training ends with the same bytes."""

from __future__ import annotations

import msgspec
import pytest

from corpora import files
from tamiz.trainer import checkpoint
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests import warm
from tests.conftest import ROOT
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("quick_plots")

MODELS: dict[str, ModelSettings] = {
    "t5": T5(
        vocab_size=VOCAB_SIZE,
        d_model=16,
        d_ff=32,
        d_kv=8,
        num_heads=2,
        num_layers=1,
        num_decoder_layers=1,
        dropout=0.1,
    ),
    "llama": Llama(vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2),
}
SETTINGS = TrainSettings(
    num_threads=1, steps=7, batch_size=5, micro_batch_size=3, learning_rate=0.01, warmup_steps=2, ramp_steps=4,
    ramp_from=0.5, schedule="cosine", final_learning_rate=1e-4, weight_decay=0.1, z_loss=1e-4, validate_every=0,
    checkpoint_every=3,
)  # fmt: skip
CASES = [(family, name) for family in MODELS for name in ("adamw", "adafactor", "adamwscale")]


def settings(name):
    return msgspec.structs.replace(SETTINGS, optimizer=name)


def go(home, out, family, name, done=lambda _step, _steps: None):
    return train(
        home / f"{family}-shards", home / "tokenizer", out, MODELS[family], settings(name), report=lambda _: None,
        done=done,
    )  # fmt: skip


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.test_optimizers_resume import CASES, go

def kill(step, steps):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

for family, name in CASES:
    child = os.fork()
    if child == 0:
        go(Path(sys.argv[1]), Path(sys.argv[2]) / f"{family}-{name}", family, name, kill)
    print(family, name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "t5-shards", tokenizer=tokenizer)
    make_shards(folder / "llama-shards", tokenizer=tokenizer, objective="causal")
    return folder


@pytest.fixture(scope="module")
def killed(home, tmp_path_factory):
    """The folders of trainings that were killed after step 5, with a checkpoint of step 3."""
    out = tmp_path_factory.mktemp("killed")
    done = warm.run(["-c", KILLED, home, out], cwd=ROOT, libraries=warm.TORCH)
    assert done.stdout.split("\n")[:-1] == [f"{family} {name} -9" for family, name in CASES]
    return out


def test_all_optimizers_are_here():
    assert {name for _, name in CASES} == set(OPTIMIZERS.names())


@pytest.mark.parametrize(("family", "name"), CASES)
def test_a_killed_training_ends_with_the_same_bytes(home, killed, tmp_path, family, name):
    out = killed / f"{family}-{name}"
    assert [checkpoint.number(path) for path in checkpoint.found(out)] == [3]
    continued, whole = go(home, out, family, name), go(home, tmp_path, family, name)
    assert files.sha256(out / "model.safetensors") == files.sha256(tmp_path / "model.safetensors")
    assert continued["history"] == whole["history"]
    steps = [point for point in whole["history"] if "loss" in point]
    scaled = [point.get("step_size") for point in steps]
    if name == "adamw":
        assert scaled == [None] * 7
    else:  # as rates times the root mean square of weights, which is far below 1
        assert all(0 < size < point["learning_rate"] for size, point in zip(scaled, steps, strict=True))
