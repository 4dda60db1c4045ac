"""`tamiz shards build` whole: the same bytes on every runner and however often it is killed; the account holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora import checksum, manifest
from corpora.errors import DamagedFile
from corpora.tokens.account import row_ids
from corpora.tokens.facts import facts_of
from corpora.tokens.inspect_rows import read_row
from corpora.tokens.objectives import Causal, SpanCorruption
from pipelines.settings import RunnerSettings
from pipelines.shards import build_shards
from tamiz.verify import verify
from tests import warm
from tests.conftest import digests

PORTABLE = ("--job_endpoint=embed", "--environment_type=LOOPBACK")
RUNNERS = {
    "two threads": RunnerSettings(workers=2),
    "portable": RunnerSettings(runner="PortableRunner", beam_flags=PORTABLE),
}
CHOSEN = {
    "span-corruption": SpanCorruption(sequence_length=256, mean_noise_span_length=20.0, validation_fraction=0.1),
    "concatenated": Causal(sequence_length=257, character_borders=True),
    "best-fit": Causal(sequence_length=256, packing="best-fit", validation_fraction=0.1),
}


@pytest.fixture(scope="module")
def many(demo, tmp_path_factory) -> str:
    """The demo's documents in twelve files."""
    folder = tmp_path_factory.mktemp("many")
    lines = (demo / "documents.jsonl").read_bytes().splitlines(keepends=True)
    for number in range(12):
        (folder / f"{number:02}.jsonl").write_bytes(b"".join(lines[number::12]) + b"broken\n")
    return str(folder / "*.jsonl")


@pytest.fixture(scope="module")
def built(many, tmp_path_factory) -> dict[str, Path]:
    """Shards of each objective, by one worker."""
    out = tmp_path_factory.mktemp("built")
    for name, settings in CHOSEN.items():
        build_shards([many], "byt5", out / name, settings, RunnerSettings())
    return {name: out / name for name in CHOSEN}


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("runner", RUNNERS)
def test_the_bytes_are_the_same_on_every_runner(many, built, tmp_path, name, runner):
    build_shards([many], "byt5", tmp_path / "out", CHOSEN[name], RUNNERS[runner])
    assert digests(tmp_path / "out") == digests(built[name])


@pytest.mark.parametrize("name", CHOSEN)
def test_every_id_is_accounted_for(built, name):
    content = manifest.read(built[name])
    assert content.counts["read"] == 243 + 12
    assert content.counts["kept"] == 243
    assert verify(built[name])[1] == []
    for split, account in content.facts["account"].items():
        parts = content.facts["parts"][split]
        assert len(parts) == 13
        assert account["ids"] + account["separators"] == account["row_ids"] + account["remainder"]
        assert account["remainder"] < 294
        assert sum(p["left_over"] for p in parts[:-1]) == parts[-1]["carried"]


def change(folder: Path, edit) -> list[str]:
    """What verify says once the manifest's facts are edited."""
    path = folder / "manifest.json"
    whole = path.read_bytes()
    content = json.loads(whole)
    del content["checksum"]
    edit(content["facts"])
    path.write_bytes(checksum.sign(json.dumps(content, indent=1).encode()))
    problems = verify(folder)[1]
    path.write_bytes(whole)
    return problems


def test_verify_counts_the_rows_and_adds_the_account_up_again(built):
    folder = built["best-fit"]

    def lose_ids_in_a_part(facts):
        part = facts["parts"]["train"][0]
        part["row_ids"] -= 5
        part["left_over"] += 5
        facts["account"]["train"]["row_ids"] -= 5
        facts["account"]["train"]["remainder"] += 5

    def move_separators_to_the_remainder(facts):
        facts["account"]["train"]["separators"] += 1
        facts["account"]["train"]["remainder"] += 1

    assert any("its rows hold" in p for p in change(folder, lose_ids_in_a_part))
    assert any("train: separators is" in p for p in change(folder, move_separators_to_the_remainder))
    assert any("there are 1 rows, the acc" in p for p in change(folder, lambda f: f["rows"].update(train=1)))
    assert any("ids in" in p for p in change(folder, lambda f: f["account"]["train"].update(ids=1)))
    assert any(
        "its parts add up to" in p for p in change(folder, lambda f: f["account"]["train"].update(documents=1))
    )
    part = change(folder, lambda f: f["parts"]["train"][0].update(left_over=f["parts"]["train"][0]["left_over"] + 1))
    assert [p for p in part if "train, train/part-" in p and "ids in" in p]
    assert any("can't be recomputed" in p for p in change(folder, lambda f: f.pop("parts")))


@pytest.mark.parametrize("name", ["span-corruption", "best-fit"])
def test_verify_tells_of_a_manifest_that_lost_or_changed_its_account(built, name):
    assert verify(built[name])[1] == []
    for edit in (
        lambda f: f.clear(),
        lambda f: f.pop("account"),
        lambda f: f["account"].pop("train"),
        lambda f: f["account"]["train"].pop("ids"),
        lambda f: f["parts"]["train"][0].update(rows="x"),
        lambda f: f["parts"]["train"][0].update(file=None),
        lambda f: f["parts"]["train"][0].update(file="elsewhere"),
        lambda f: f["parts"].update(train=-1),
        lambda f: f["rows"].update(train=1),
        lambda f: f.update(tokenizer_sha256="0" * 64),
        lambda f: f.update(sequence_length=512),
        lambda f: f.update(pad_id=None),
    ):
        assert change(built[name], edit)


@pytest.mark.parametrize("edit", [{"counts": {"read": "x"}}, {"items": []}, {"items": [7]}, {"stage": "other"}])
def test_verify_tells_of_damaged_counts(built, edit):
    path = built["best-fit"] / "manifest.json"
    whole = path.read_bytes()
    content = {key: value for key, value in json.loads(whole).items() if key != checksum.KEY} | edit
    path.write_bytes(checksum.sign(json.dumps(content, indent=1).encode()))
    problems = verify(built["best-fit"])[1]
    path.write_bytes(whole)
    assert problems


def test_a_shard_of_other_columns_is_told_by_verify_and_by_inspect(built, tmp_path):
    folder = tmp_path / "shards"
    shutil.copytree(built["span-corruption"], folder)
    path = sorted((folder / "train").glob("*.parquet"))[0]
    table = pq.read_table(path)
    count, content = len(table), manifest.read(folder)
    for column in (
        pa.array(["x"] * count), pa.nulls(count), pa.array([1] * count), pa.array([{"a": 1}] * count),
        pa.array([[1.5] * 4] * count, pa.list_(pa.float64(), 4)),
        pa.array([[None] * 4] * count, pa.list_(pa.int32(), 4)),
    ):  # fmt: skip
        pq.write_table(table.set_column(0, "input_ids", column), path)
        with pytest.raises(DamagedFile, match="input_ids"):
            row_ids(path, facts_of(folder, content))
        with pytest.raises(DamagedFile, match="input_ids"):
            read_row(folder, content, "train", 0)
        assert any("input_ids" in line for line in verify(folder)[1])


def start(many: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tamiz", "shards", "build", "--input", many, "--tokenizer", "byt5"]
    command += ["--objective", "span-corruption", "--sequence-length", "256", "--mean-noise-span-length", "20"]
    return subprocess.Popen([*command, "--validation-fraction", "0.1", "--out", str(out), *more])


def test_killed_again_and_again_it_ends_with_the_same_bytes(many, built, tmp_path):
    out = tmp_path / "out"
    for kill_at in (1, 4, 8):  # items done
        with start(many, out, "--workers", "2") as process:
            begun = time.monotonic()
            while process.poll() is None and time.monotonic() - begun < 60:
                if len(list(out.glob(".progress/notes/*/*.json"))) >= kill_at:
                    os.kill(process.pid, signal.SIGKILL)
                    break
                time.sleep(0.001)
    with start(many, out) as process:
        assert process.wait(60) == 0
    assert digests(out) == digests(built["span-corruption"])
    assert not list(out.glob("**/*.tmp-*"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--tokenizer", "byt5", "--objective", "ul2"], "denoiser X (3, 0.5) has 128 noise spans"),
        (["--tokenizer", "byt5", "--objective", "causal", "--bos"], "needs a bos_token"),
        (["--tokenizer", "nowhere", "--objective", "causal"], "nowhere"),
        (["--tokenizer", "byt5", "--objective", "span-corruption", "--packing", "best-fit"], "for causal rows"),
        (["--tokenizer", "byt5", "--objective", "span-corruption"], "28 noise spans"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(many, tmp_path, arguments, named):
    told = ("shards", "build", "--input", many, "--sequence-length", 512, *arguments)
    done = warm.tamiz(*told, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert named in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not (tmp_path / "out").exists()
