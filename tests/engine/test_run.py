"""`tamiz run` from raw text to model, in processes of its own: skipped, refused, rebuilt, killed and continued."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tamiz.stages import ordered
from tamiz.verify import verify
from tests import warm
from tests.conftest import ROOT, digests

pytestmark = pytest.mark.slow

SMALL = {
    "score.item_bytes": 20_000,
    "lm.train_tokenizer": 600,
    "model.num_layers": 1,
    "model.num_decoder_layers": 1,
    "model.d_model": 32,
    "model.d_ff": 32,
    "model.d_kv": 8,
    "train.steps": 12,
    "train.batch_size": 8,
    "train.checkpoint_every": 3,
    "train.validate_every": 6,
}
FOLDERS = {stage.name: stage.folder for stage in ordered() if stage.name != "export"}  # which the demo doesn't have
STAGES = tuple(FOLDERS)


def arguments(out: Path, *more: str) -> list[str]:
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    return ["run", "t5-spanish-efficient-tiny", "--demo", "--out", str(out), *settings, *more]


def command(out: Path) -> list[str]:
    return [sys.executable, "-m", "tamiz", *arguments(out)]


def run(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return warm.tamiz(*arguments(out, *more), libraries=warm.TORCH)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An uninterrupted run, as a user starts it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = subprocess.run(command(out), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_it_ends_in_a_model_that_transformers_loads(whole):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(whole / "model")
    tokenizer = AutoTokenizer.from_pretrained(whole / "model")
    ids = tokenizer("Árbol <extra_id_0> verde", return_tensors="pt").input_ids
    assert model.config.vocab_size - 1 in ids[0].tolist()
    assert ids[0, -1] == 1
    assert model.generate(ids, max_new_tokens=4).shape[0] == 1
    assert tokenizer("Árbol").input_ids == tokenizer("árbol").input_ids


def test_every_folder_is_as_its_manifest_says(whole):
    checked, problems = verify(whole)
    assert problems == []
    assert checked > 15
    for name in FOLDERS.values():
        assert verify(whole / name)[1] == []


def test_datasets_reads_the_shards(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    rows = json.loads((whole / "shards" / "manifest.json").read_bytes())["facts"]["rows"]
    for split in ("train", "validation"):
        read = datasets.load_dataset(
            "parquet", data_files=str(whole / "shards" / split / "*.parquet"), split="train", cache_dir=str(tmp_path)
        )
        assert read.num_rows == rows[split]
        assert len(read[0]["input_ids"]) == 128


def test_again_does_nothing(whole):
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file() and p.parent != whole}
    done = run(whole)
    assert done.returncode == 0
    assert done.stdout.count("nothing to do") == len(STAGES)
    assert before == {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file() and p.parent != whole}


def test_two_workers_write_the_same_bytes(whole, tmp_path):
    done = run(tmp_path / "run", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "run") == digests(whole)


def test_a_changed_setting_is_refused_and_rebuilt_from_there(whole, tmp_path):
    import shutil

    out = shutil.copytree(whole, tmp_path / "run")
    refused = run(out, "--set", "sample.seed=1")
    assert refused.returncode == 1
    assert "seed: 0 -> 1" in refused.stderr
    assert "--rebuild" in refused.stderr
    done = run(out, "--set", "sample.seed=1", "--rebuild", "--until", "shards")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("nothing to do") == 2  # lm and score
    new, old = digests(out), digests(whole)
    assert {n for n in new if n.startswith("scores/")} == {n for n in old if n.startswith("scores/")}
    assert all(new[n] != old[n] for n in new if n.startswith("sampled/part"))


def in_the_middle(out: Path, stage: str) -> bool:
    """Whether the stage has begun to write and is not finished."""
    folder = out / FOLDERS[stage]
    if stage == "lm":
        return folder.is_dir() and any(folder.iterdir())
    if stage in ("score", "sample", "shards"):
        return (folder / ".progress").is_dir() and any((folder / ".progress").iterdir())
    if stage == "train":
        return (folder / "checkpoints").is_dir() and any((folder / "checkpoints").iterdir())
    return (folder / "manifest.json").exists()


def finished(out: Path, stage: str) -> bool:
    if stage == "lm":
        return (out / "lm" / "lm.json").exists()
    path = out / FOLDERS[stage] / "manifest.json"
    return path.exists() and json.loads(path.read_bytes())["finished"]


def kill_in(out: Path, stage: str) -> bool:
    """Starts the run and kills it in the middle of `stage`; False if it was too late."""
    process = subprocess.Popen(command(out), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not in_the_middle(out, stage):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return not finished(out, stage)


def test_killed_in_every_stage_it_ends_in_the_same_bytes(whole, tmp_path):
    out = tmp_path / "run"
    caught = [stage for stage in STAGES if kill_in(out, stage)]
    assert len(caught) >= 5, f"killed in the middle of {caught} only"
    done = run(out)
    assert done.returncode == 0, done.stderr
    assert "continued" in done.stdout
    assert digests(out) == digests(whole)
    assert verify(out)[1] == []


def test_a_refused_run_leaves_the_recipe_standing(whole):
    before = (whole / "recipe.json").read_bytes()
    assert run(whole, "--set", "sample.keep=0.3").returncode == 1
    assert (whole / "recipe.json").read_bytes() == before
    assert verify(whole)[1] == []


@pytest.mark.parametrize("name", ["lm/lm.bin", "lm/lm.spiece.model", "scores/documents.jsonl.item0001.parquet"])
def test_rebuild_heals_a_damaged_stage(whole, tmp_path, name):
    import shutil

    out = shutil.copytree(whole, tmp_path / "run")
    data = bytearray((out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (out / name).write_bytes(data)
    assert verify(out)[1] != []
    done = run(out, "--rebuild", "--until", "sample")
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(whole)


def test_a_ready_language_model_can_be_brought(whole, tmp_path):
    lm = str(whole / "lm" / "lm.bin")
    done = run(tmp_path / "run", "--set", f"lm.file={lm}", "--set", "lm.input=", "--until", "score")
    assert done.returncode == 0, done.stderr
    mine, theirs = digests(tmp_path / "run" / "scores"), digests(whole / "scores")
    assert mine == theirs


def test_a_foreign_language_model_is_recorded_then_enforced(whole, tmp_path):
    import shutil

    home = tmp_path / "models"
    home.mkdir()
    shutil.copy(whole / "lm" / "lm.bin", home / "es.bin")
    shutil.copy(whole / "lm" / "lm.spiece.model", home / "es.sp.model")
    bring = [
        "--set",
        f"lm.file={home / 'es.bin'}",
        "--set",
        f"lm.tokenizer={home / 'es.sp.model'}",
        "--set",
        "lm.input=",
    ]
    done = run(tmp_path / "run", *bring, "--until", "score")
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "run" / "scores") == digests(whole / "scores")
    data = bytearray((home / "es.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (home / "es.bin").write_bytes(data)
    refused = run(tmp_path / "other", *bring, "--until", "score")
    assert refused.returncode == 1
    assert "recorded at first use" in refused.stderr


@pytest.mark.parametrize("damage", ["flipped", "cut short"])
@pytest.mark.parametrize("name", ["spiece.model", "tokenizer.json"])
def test_a_damaged_tokenizer_is_one_line(whole, tmp_path, name, damage):
    import shutil

    home = shutil.copytree(whole / "tokenizer", tmp_path / "tokenizer")
    data = bytearray((home / name).read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[-100:]
    (home / name).write_bytes(data)
    told = ["--input", whole / "sampled" / "part-*", "--tokenizer", home, "--objective", "span-corruption"]
    done = warm.tamiz("shards", "build", *told, "--sequence-length", 128, "--out", tmp_path / "shards")
    assert done.returncode == 1
    assert name in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
