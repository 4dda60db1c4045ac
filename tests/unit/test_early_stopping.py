"""Trainings that end early, keep their best weights, write curves and pause: stopped anyhow, they end the same."""

from __future__ import annotations

import json
import shutil
import signal
from importlib.util import find_spec

import msgspec
import pytest
import torch

from corpora import files
from corpora.errors import BadArgument
from corpora.rows import read_shards
from tamiz.hub.folder import publication
from tamiz.trainer import checkpoint
from tamiz.trainer.early_stopping import best, ends_at
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.signals import Paused, Stopped
from tamiz.trainer.train import train
from tamiz.trainer.utilisation import Utilisation, peak_flops
from tamiz.verify import verify
from tests.command import exit_code
from tests.make_shards import make_shards, make_tokenizer
from tests.unit.test_trainer_resume import MODEL, SETTINGS
from tests.unit.test_trainer_signals import MODEL as TOML

WATCHED = msgspec.structs.replace(
    SETTINGS, steps=30, learning_rate=0.1, validate_every=2, early_stopping=3, keep="best", checkpoint_every=4
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    make_shards(folder / "shards", tokenizer=make_tokenizer(folder / "tokenizer"))
    (folder / "m.toml").write_text(TOML)
    for name, more in {
        "early": "early_stopping = 2\nearly_stopping_delta = 10.0",
        "later": "early_stopping = 4\nearly_stopping_delta = 10.0",
        "never": "",
    }.items():
        (folder / f"{name}.toml").write_text(TOML.replace("validate_every = 0", f"validate_every = 2\n{more}"))
    return folder


def go(home, out, settings=WATCHED, *, said=lambda _: None, done=lambda _step, _steps: None, stop_at=None):
    return train(home / "shards", home / "tokenizer", out, MODEL, settings, report=said, done=done, stop_at=stop_at)


@pytest.fixture(scope="module")
def whole(home, tmp_path_factory):
    """Ended early, without a stop: its folder, metrics and lines."""
    out, lines = tmp_path_factory.mktemp("whole"), []
    return out, go(home, out, said=lines.append), lines


def weights(folder):
    return files.sha256(folder / "model.safetensors")


def test_the_training_ends_early_with_its_best_weights(home, whole, tmp_path):
    out, metrics, lines = whole
    found = [(p["step"], p["validation_loss"]) for p in metrics["history"] if "validation_loss" in p]
    kept = metrics["kept_step"]
    assert 0 < kept < metrics["steps"] < 30, found
    assert metrics["steps"] == kept + 3 * 2 == found[-1][0]
    assert metrics["ended_early"]
    assert metrics["validation_loss"] == metrics["best_validation_loss"] == min(loss for _, loss in found)
    assert metrics["best_validation_step"] == kept
    assert (
        f"ended early, after step {metrics['steps']} of 30: 3 validations in a row didn't lower the loss" in lines[-1]
    )
    go(home, tmp_path, TrainSettings(**msgspec.structs.asdict(SETTINGS) | {"learning_rate": 0.1, "steps": kept}))
    assert weights(out) == weights(tmp_path)


def paused(home, out, settings):
    """Runs of a step each, up to the first step whose weights are the best, and one for the rest."""
    for step in range(1, 7):
        with pytest.raises(Paused, match=f"kept: step {step} of 30; the same command continues") as reason:
            go(home, out, settings, stop_at=0.0)
        assert reason.value.exit_code == 0
        assert checkpoint.number(checkpoint.found(out)[-1]) == step
    return go(home, out, settings)


def told_to_stop(home, out, settings):
    for at in (3, 4, 9):

        def done(step, _steps, at=at):
            if step == at:
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(Stopped, match=f"kept: step {at} of 30"):
            go(home, out, settings, done=done)
    return go(home, out, settings)


class Killed(Exception):
    pass


def killed(home, out, settings):
    for at in (3, 6, 11):

        def done(step, _steps, at=at):
            if step == at:
                raise Killed

        with pytest.raises(Killed):
            go(home, out, msgspec.structs.replace(settings, keep_checkpoints=at), done=done)
    return go(home, out, settings)


@pytest.mark.parametrize("way", [paused, told_to_stop, killed])
def test_a_stop_leaves_no_trace(home, whole, tmp_path, way):
    out, without_stop, _ = whole
    has_curves = find_spec("tensorboard") is not None
    metrics = way(home, tmp_path, msgspec.structs.replace(WATCHED, tensorboard=has_curves))
    assert metrics["history"] == without_stop["history"]
    assert metrics["kept_step"] == without_stop["kept_step"]
    assert weights(tmp_path) == weights(out)
    assert files.sha256(tmp_path / "loss.png") == files.sha256(out / "loss.png")
    if not has_curves:
        pytest.skip("the curves need tensorboard: tamiz[tensorboard]")
    curves = read_curves(tmp_path)
    assert curves.keys() >= {"loss", "learning_rate", "gradient_norm", "validation_loss", "tokens_per_second"}
    assert [step for step, _ in curves["gradient_norm"]] == list(range(1, metrics["steps"] + 1))  # each once
    for name in ("loss", "learning_rate", "validation_loss"):
        points = [(point["step"], point[name]) for point in metrics["history"] if name in point]
        assert curves[name] == [(step, pytest.approx(value)) for step, value in points]


def read_curves(out):
    """As TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(out / "tensorboard")).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


@pytest.mark.parametrize(
    ("losses", "patience", "delta", "end"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.0], 2, 0.0, 3),
        ([3.0, 2.0, 2.5, 1.9, 1.95, 1.8], 2, 0.0, None),
        ([3.0, 2.9, 2.8, 2.7, 2.6], 2, 0.15, None),  # each second one is new
        ([3.0, 2.9, 2.8, 2.7, 2.6], 2, 0.35, 2),
        ([3.0, float("nan"), float("nan")], 2, 0.0, 2),
        ([3.0, 3.0, 3.0], 0, 0.0, None),
        ([3.0], 1, 0.0, None),
    ],
)
def test_when_it_ends(losses, patience, delta, end):
    settings = msgspec.structs.replace(SETTINGS, early_stopping=patience, early_stopping_delta=delta)
    assert ends_at(list(enumerate(losses)), settings) == end


def test_the_best_is_the_first_of_the_lowest():
    assert best([(0, float("nan")), (2, 1.0), (4, 1.0), (6, 2.0)]) == (2, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"early_stopping": -1}, {"early_stopping_delta": 0.1}, {"early_stopping": 1, "early_stopping_delta": -1.0},
     {"early_stopping": 1, "validate_every": 0}, {"keep_checkpoints": 0}],
)  # fmt: skip
def test_impossible_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainSettings(steps=3, **wrong)


@pytest.mark.parametrize("wrong", [{"early_stopping": 1}, {"keep": "best"}])
def test_they_need_validation_rows(home, tmp_path, wrong):
    shards = make_shards(tmp_path / "s", tokenizer=home / "tokenizer", rows={"train": 23, "validation": 0})
    with pytest.raises(BadArgument, match=f"{next(iter(wrong))} is .*, which needs validation rows"):
        train(shards, home / "tokenizer", tmp_path / "m", MODEL, msgspec.structs.replace(SETTINGS, **wrong))
    assert not (tmp_path / "m").exists()


def test_the_defaults_leave_the_identity_of_a_training_as_it_was():
    names = {"early_stopping", "early_stopping_delta", "keep", "keep_checkpoints", "tensorboard"}
    assert names.isdisjoint(SETTINGS.identity())
    asked = msgspec.structs.replace(WATCHED, tensorboard=True, keep_checkpoints=5).identity()
    assert names & asked.keys() == {"early_stopping", "keep"}


def command(home, name, out, *more):
    told = ("--shards", home / "shards", "--model", home / f"{name}.toml", "--out", out)
    return exit_code("train", *map(str, (*told, *more)))


def test_a_training_that_ended_early_says_so_and_goes_on_if_it_may(home, tmp_path, capsys):
    out = tmp_path / "m"
    assert command(home, "early", out) == 0
    assert "ended early, after step 4 of 100" in capsys.readouterr().out
    assert command(home, "early", out) == 0  # nothing to do
    assert "4, ended early" in capsys.readouterr().out
    assert "Ended early, after step 4. " in (out / "README.md").read_text()
    assert command(home, "early", out, "--steps", 200) == 0
    assert "ended early, after step 4 of 200: 2 validations" in capsys.readouterr().out
    early = shutil.copytree(out, tmp_path / "early")
    assert command(home, "later", out, "--steps", 200) == 0
    assert "continued from step 4 of 200" in capsys.readouterr().out
    assert json.loads((out / "metrics.json").read_bytes())["steps"] == 8
    assert command(home, "early", out, "--steps", 200) == 1
    assert "has done 8 steps, but with train.early_stopping 2 it would have ended after step 4: raise" in (
        capsys.readouterr().err
    )
    assert command(home, "later", out, "--steps", 200) == 0  # as it was
    assert command(home, "never", early, "--steps", 10) == 0
    assert command(home, "never", tmp_path / "at-once", "--steps", 10) == 0
    assert weights(early) == weights(tmp_path / "at-once")
    assert verify(early)[1] == []


def test_a_run_that_pauses_is_no_failure_and_its_curves_are_no_part_of_the_model(home, tmp_path, capsys):
    pytest.importorskip("tensorboard")
    out = tmp_path / "m"
    told = ("--steps", 3, "--tensorboard")
    for step in (1, 2):
        assert command(home, "m", out, *told, "--stop-after", "0.001s") == 0
        said = capsys.readouterr()
        assert said.out.splitlines()[-1] == (
            f"this run's time is over; kept: step {step} of 3; the same command continues"
        )
        assert "error" not in said.err
    assert command(home, "m", out, "--steps", 3, "--stop-after", "1d") == 0
    assert command(home, "m", tmp_path / "whole", "--steps", 3) == 0
    assert weights(out) == weights(tmp_path / "whole")
    assert len(list((out / "tensorboard").iterdir())) == 2
    assert verify(out)[1] == []
    found = publication(out)
    assert not [item for item in found.items if "tensorboard" in item.path]
    assert "tensorboard/" in found.left_out
    assert command(home, "m", out, "--steps", 3, "--rebuild") == 0
    assert not (out / "tensorboard").exists()


def test_a_mixture_has_curves_of_its_sources(home, tmp_path):
    pytest.importorskip("tensorboard")
    make_shards(home / "more", tokenizer=home / "tokenizer", seed=1)
    out = tmp_path / "m"
    more = ("--shards", f"{home}/more", "--steps", 4, "--tensorboard", "--tokenizer", home / "tokenizer")
    assert command(home, "never", out, *more) == 0
    curves = read_curves(out)
    (point,) = [one for one in curves["share/shards"] if one[0] == 4]
    assert point == (4, pytest.approx(1 - dict(curves["share/more"])[4]))
    assert 0.2 < point[1] < 0.8
    assert [step for step, _ in curves["validation_loss/more"]] == [0, 2, 4]
    assert "mfu" not in curves  # on a CPU


def test_mfu_is_known_where_the_peak_is(home, monkeypatch):
    facts = read_shards(home / "shards").facts
    family = Llama(vocab_size=64, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=2)
    facts = msgspec.structs.replace(facts, label_length=None)
    names = iter(["NVIDIA H200", "something else"])
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: next(names))
    gpu, ids = torch.device("cuda"), family.ids_per_row(facts)
    known = Utilisation(family, facts, gpu, bfloat16=True, processes=2)
    operations = 6 * family.num_parameters() + 12 * 2 * 16 * ids  # for an id, by 6N + 12LdS
    assert known.of(1e6) == pytest.approx(1e6 * operations / (2 * 989.4e12))
    unknown = [(gpu, True), (gpu, False), (torch.device("cpu"), True)]
    for device, bfloat16 in unknown:
        assert Utilisation(family, facts, device, bfloat16=bfloat16, processes=1).of(1e6) is None


@pytest.mark.parametrize("time", ["2", "0s", "2 h", "h", "-1h", "1w"])
def test_no_time_is_named(home, tmp_path, capsys, time):
    assert command(home, "m", tmp_path / "m", f"--stop-after={time}") == 2
    assert "is no time above 0: write 90s, 30m, 2h or 1d" in capsys.readouterr().err


def test_without_tensorboard_the_command_that_installs_it_is_said(home, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tamiz.trainer.tensorboard.find_spec", lambda _: None)
    assert command(home, "m", tmp_path / "m", "--tensorboard") == 2
    assert "train.tensorboard needs tensorboard, which is not installed: run pip install" in capsys.readouterr().err
    assert not (tmp_path / "m/manifest.json").exists()


def test_a_full_disk_costs_the_curves_alone(home, whole, tmp_path, caplog):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_bytes(b"")  # no folder can be made there
    go(home, tmp_path, msgspec.structs.replace(WATCHED, tensorboard=True))
    assert "tensorboard gets no more curves: File exists" in caplog.text
    assert weights(tmp_path) == weights(whole[0])


@pytest.mark.parametrize(
    ("name", "peak"),
    [("NVIDIA H200", 989.4), ("NVIDIA H100 80GB HBM3", 989.4), ("NVIDIA H100 PCIe", 756.0), ("NVIDIA L40S", 362.0),
     ("NVIDIA L40", None), ("NVIDIA A100-SXM4-80GB", 312.0), ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", None),
     ("NVIDIA A10G", None), ("NVIDIA GH200 480GB", 989.4), ("Tesla T4", None)],
)  # fmt: skip
def test_peaks_are_known_by_name(name, peak):
    assert peak_flops(name) == (None if peak is None else peak * 1e12)


def test_best_weights_need_their_room(tmp_path):
    from tamiz.trainer.before import room_needed

    last, kept = (
        room_needed(tmp_path, 1000, msgspec.structs.replace(WATCHED, keep=keep)) for keep in ("last", "best")
    )
    assert kept - last == (WATCHED.keep_checkpoints + 1) * 4000
