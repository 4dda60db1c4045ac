"""A finished training goes on to more steps where its schedule allows it, and ends with the same bytes."""

from __future__ import annotations

import json
import shutil

import pytest

from corpora import files, manifest
from corpora.errors import StaleOutput
from tamiz.trainer import checkpoint
from tamiz.verify import verify
from tests.command import exit_code
from tests.make_shards import make_shards, make_tokenizer
from tests.unit.test_damaged_manifests import edit
from tests.unit.test_trainer_signals import MODEL


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    make_shards(folder / "shards", tokenizer=make_tokenizer(folder / "tokenizer"))
    for schedule in ("inverse_sqrt", "cosine"):
        text = MODEL.replace("warmup_steps = 2", f'warmup_steps = 2\nschedule = "{schedule}"')
        (folder / f"{schedule}.toml").write_text(text)
        (folder / f"{schedule}-less.toml").write_text(text + "keep_checkpoint = false\n")
    return folder


@pytest.fixture(scope="module")
def six(home, tmp_path_factory):
    """Six steps, with inverse_sqrt."""
    out = tmp_path_factory.mktemp("six") / "model"
    assert train(home, "inverse_sqrt", out, 6) == 0
    return out


def train(home, model, out, steps, *more):
    told = ["train", "--shards", home / "shards", "--model", home / f"{model}.toml", "--out", out, "--steps", steps]
    return exit_code(*told, *more)


def test_more_steps_continue_with_the_bytes_of_a_longer_run(home, six, tmp_path, capsys):
    out = shutil.copytree(six, tmp_path / "model")
    capsys.readouterr()
    assert train(home, "inverse_sqrt", out, 8) == 0
    said = capsys.readouterr().out
    assert "continued from step 6 of 8" in said
    assert "step 1 of 8" not in said
    assert train(home, "inverse_sqrt", tmp_path / "whole", 8) == 0
    assert files.sha256(out / "model.safetensors") == files.sha256(tmp_path / "whole/model.safetensors")
    histories = [
        json.loads((folder / "metrics.json").read_bytes())["history"] for folder in (out, tmp_path / "whole")
    ]
    assert histories[0] == histories[1]
    assert files.sha256(out / "loss.png") == files.sha256(tmp_path / "whole/loss.png")
    assert verify(out)[1] == []
    assert [path.name for path in (out / "checkpoints").iterdir() if path.suffix == ".pt"] == ["step-00000008.pt"]


def test_the_last_checkpoint_is_kept_and_may_be_removed(home, six, tmp_path, capsys):
    out = shutil.copytree(six, tmp_path / "model")
    assert verify(out)[1] == []
    shutil.rmtree(out / "checkpoints")
    assert verify(out)[1] == []
    assert train(home, "inverse_sqrt", out, 6) == 0  # nothing to do
    capsys.readouterr()
    assert train(home, "inverse_sqrt", out, 8) == 1
    assert "finished with 6 steps, and its checkpoint wasn't kept: it can't have more" in capsys.readouterr().err
    assert manifest.read(out).finished


def test_no_checkpoint_is_kept_if_none_is_wanted(home, six, tmp_path):
    out = shutil.copytree(six, tmp_path / "model")
    assert train(home, "inverse_sqrt-less", out, 6) == 0  # the same training: its checkpoint goes
    assert not (out / "checkpoints").exists()
    assert verify(out)[1] == []


def test_fewer_steps_are_refused(home, six, capsys):
    capsys.readouterr()
    assert train(home, "inverse_sqrt", six, 5) == 1
    assert "has done 6 steps, and train.steps is 5: it can only have more; pass --rebuild" in capsys.readouterr().err
    assert manifest.read(six).finished


def test_a_schedule_that_ends_with_the_steps_is_refused(home, tmp_path, capsys):
    out = tmp_path / "model"
    assert train(home, "cosine", out, 4) == 0
    assert train(home, "cosine", out, 8) == 1
    error = capsys.readouterr().err
    assert "a training of 4 steps, and train.steps is 8: the learning rates of schedule 'cosine'" in error
    assert manifest.read(out).finished
    assert train(home, "cosine", out, 8, "--rebuild") == 0


def test_anything_else_is_still_something_else(home, six, capsys):
    (home / "other.toml").write_text(
        (home / "inverse_sqrt.toml").read_text().replace("batch_size = 4", "batch_size = 5")
    )
    capsys.readouterr()
    assert train(home, "other", six, 8) == 1
    assert "was made from something else" in capsys.readouterr().err
    assert checkpoint.found(six)


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("facts", "initial_validation_loss"), ..., "initial_validation_loss"),
        (("facts", "parameters"), None, "facts.parameters"),
        (("facts", "target_unigram_entropy_nats"), "x", "facts.target_unigram_entropy_nats"),
    ],
)
def test_a_finished_training_whose_manifest_says_something_else(home, six, tmp_path, capsys, keys, value, named):
    out = shutil.copytree(six, tmp_path / "model")
    edit(out / "manifest.json", keys, value)
    capsys.readouterr()
    assert train(home, "inverse_sqrt", out, 6) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {out}/manifest.json is damaged (")
    assert named in error


def test_a_checkpoint_serves_as_many_steps_as_it_has_done_and_no_fewer(tmp_path):
    made = {checkpoint.STEPS: 8, "train.schedule": "constant"}
    checkpoint.save(tmp_path, 6, {"made_from": made})
    for steps in (6, 7, 9):
        assert checkpoint.load_latest(tmp_path, made | {checkpoint.STEPS: steps}) == {"made_from": made}
    with pytest.raises(StaleOutput, match=r"different training \(train\.steps: 8 -> 5\)"):
        checkpoint.load_latest(tmp_path, made | {checkpoint.STEPS: 5})
    ends = made | {"train.schedule": "cosine"}
    checkpoint.save(tmp_path, 7, {"made_from": ends})
    with pytest.raises(StaleOutput, match=r"train\.steps: 8 -> 9"):
        checkpoint.load_latest(tmp_path, ends | {checkpoint.STEPS: 9})


def test_a_kill_before_the_kept_checkpoint_is_described_is_made_good(home, six, tmp_path):
    out = shutil.copytree(six, tmp_path / "model")
    content = manifest.read(out / "checkpoints")
    content.finished, content.files = False, []
    manifest.write(out / "checkpoints", content)
    assert any("unfinished" in line for line in verify(out)[1])
    assert train(home, "inverse_sqrt", out, 6) == 0
    assert verify(out)[1] == []
