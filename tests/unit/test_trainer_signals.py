"""A signal stops a training after its step, with its state saved; the same command then ends with the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest

from corpora import files
from tamiz.commands.train import _settings
from tamiz.trainer import checkpoint
from tamiz.trainer.signals import Stopped, StopSignals
from tamiz.trainer.train import train
from tests.command import exit_code
from tests.conftest import ROOT
from tests.make_shards import VOCAB_SIZE, make_home

pytestmark = pytest.mark.usefixtures("quick_plots")

MODEL = f"""
[model]
vocab_size = {VOCAB_SIZE}
d_model = 16
d_ff = 32
d_kv = 8
num_heads = 2
num_layers = 1
num_decoder_layers = 1
dropout = 0.1

[train]
steps = 100
batch_size = 4
num_threads = 1
checkpoint_every = 0
validate_every = 0
warmup_steps = 2
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home"), MODEL)


def arguments(home: Path, out: str, *more: object) -> list[str]:
    return [
        "train",
        "--shards",
        f"{home}/shards",
        "--model",
        f"{home}/m.toml",
        "--out",
        f"{home}/{out}",
        *map(str, more),
    ]


def start(home: Path, out: str, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tamiz", *arguments(home, out, *more)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(home):
    assert exit_code(*arguments(home, "whole")) == 0
    return files.sha256(home / "whole/model.safetensors")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_saves_the_step_and_the_same_command_continues(home, whole, name):
    process, number = start(home, name), getattr(signal, name)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("  step 1 of 100"):
        assert process.poll() is None
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    (kept,) = checkpoint.found(home / name)
    step = checkpoint.number(kept)
    assert 1 <= step < 100
    assert error.splitlines()[-2:] == [
        "stopping: this step is finished and saved first; a second signal (^C) stops at once",
        f"error: stopped; kept: step {step} of 100; the same command continues",
    ]
    assert exit_code(*arguments(home, name)) == 0
    assert files.sha256(home / name / "model.safetensors") == whole


class SecondSignal(Exception):
    pass


def test_the_second_signal_does_what_it_did_before():
    def raises(_number, _frame):
        raise SecondSignal

    before = signal.signal(signal.SIGTERM, raises)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop.received == signal.SIGTERM
            with pytest.raises(SecondSignal):
                signal.raise_signal(signal.SIGTERM)
        with StopSignals() as stop:
            pass
        assert signal.getsignal(signal.SIGTERM) is raises
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_trains_without_signals():
    found = []

    def enter():
        with StopSignals() as stop:
            found.append(stop.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [None]


@pytest.mark.parametrize("step", [1, 3, 6])
def test_stopped_at_a_validation_or_after_the_last_step_it_ends_as_if_it_had_not(home, tmp_path, step):
    """A signal at step 3 or 6 comes before the validation of that step, which is then done by the next run."""
    shape, settings, _ = _settings(f"{home}/m.toml", (), None, home / "shards")
    settings = msgspec.structs.replace(settings, steps=6, validate_every=3)
    run = partial(train, home / "shards", home / "tokenizer", model=shape, settings=settings, report=lambda _: None)
    whole = run(tmp_path / "whole")

    def done(at: int, _: int) -> None:
        if at == step:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match=f"kept: step {step} of 6") as stopped:
        run(tmp_path / "stopped", done=done)
    assert stopped.value.exit_code == 143
    assert not (tmp_path / "stopped/model.safetensors").exists()
    again = run(tmp_path / "stopped")
    assert again["history"] == whole["history"]
    assert [point["step"] for point in again["history"] if "validation_loss" in point] == [0, 3, 6]
    digest = files.sha256(tmp_path / "stopped/model.safetensors")
    assert digest == files.sha256(tmp_path / "whole/model.safetensors")
