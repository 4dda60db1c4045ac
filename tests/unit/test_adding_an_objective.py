"""An objective of somebody else's: one module outside of the library, from `shards build` to reading its rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corpora.rows import ShardRows
from corpora.tokens.shards import read_rows

ROOT = Path(__file__).resolve().parents[2]

BACKWARDS = '''
"""Some rows backwards, for a model that must find out which."""
import numpy as np

from corpora.choices import Flag
from corpora.tokens.objectives import OBJECTIVES, RowMaker, ShardSettings
from corpora.tokens.shards import SCALAR


@OBJECTIVES.register
class Backwards(ShardSettings, frozen=True, kw_only=True, tag="backwards"):
    """One row of a few backwards."""

    flags = (Flag("--one-in", "one_in", "Turn one row of so many. [default: 2]", int),)
    one_in: int = 2

    def rows(self, vocabulary):
        return BackwardsRows(self, vocabulary)


class BackwardsRows(RowMaker):
    @property
    def columns(self):
        return {**super().columns, "turned": (SCALAR, np.uint8)}

    def store(self, rows, base, first):
        turned = np.arange(first, first + rows.num_rows) % self.settings.one_in == 0
        ids = super().store(rows, base, first)["input_ids"]
        return {"input_ids": np.where(turned[:, None], ids[:, ::-1], ids), "turned": turned.astype(np.uint8)}
'''


@pytest.fixture(scope="module")
def outsider(tmp_path_factory) -> dict[str, str]:
    """The environment of a command that knows the objective."""
    folder = tmp_path_factory.mktemp("outsider")
    (folder / "backwards.py").write_text(BACKWARDS)
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "TAMIZ_EXTENSIONS": "backwards"}


def tamiz(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tamiz", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


def build(environment: dict[str, str], demo: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    documents = demo / "documents.jsonl"
    options = ["--tokenizer", "byt5", "--sequence-length", 100, "--validation-fraction", 0.1, "--out", out]
    return tamiz(environment, "shards", "build", "--input", documents, *options, *more)


def test_an_objective_of_somebody_elses(outsider, demo, tmp_path):
    out = tmp_path / "shards"
    built = build(outsider, demo, out, "--objective", "backwards", "--one-in", 3)
    assert (built.returncode, built.stderr) == (0, "")
    assert (
        build(os.environ | {"PYTHONPATH": str(ROOT)}, demo, tmp_path / "c", "--objective", "causal").returncode == 0
    )
    plain = read_rows(tmp_path / "c/train/part-00000.parquet")["input_ids"]
    stored = read_rows(out / "train/part-00000.parquet")
    turned = np.arange(len(plain)) % 3 == 0
    assert np.array_equal(stored["turned"], turned)
    assert np.array_equal(stored["input_ids"][~turned], plain[~turned])
    assert np.array_equal(stored["input_ids"][turned], plain[turned][:, ::-1])

    verified = tamiz(outsider, "verify", out)
    assert (verified.returncode, verified.stderr) == (0, "")
    inspected = tamiz(outsider, "shards", "inspect", out, "--row", 1)
    assert (inspected.returncode, inspected.stderr) == (0, "")
    assert "backwards" in inspected.stdout

    batch = ShardRows(out, batch_size=4).batch(0, 0)
    for row, is_turned in zip(batch["input_ids"], batch["turned"], strict=True):
        assert (row[::-1] if is_turned else row).tolist() in plain.tolist()


def test_its_fingerprint_covers_its_own_settings(outsider, demo, tmp_path):
    assert build(outsider, demo, tmp_path / "s", "--objective", "backwards").returncode == 0
    settings = json.loads((tmp_path / "s/manifest.json").read_bytes())["made_from"]["settings"]
    assert (settings["objective"], settings["one_in"]) == ("backwards", 2)
    again = build(outsider, demo, tmp_path / "s", "--objective", "backwards", "--one-in", 5)
    assert again.returncode == 1
    assert "one_in: 2 -> 5" in again.stderr


def test_what_is_refused_names_it(outsider, demo, tmp_path):
    other = build(outsider, demo, tmp_path / "s", "--objective", "causal", "--one-in", 3)
    assert (other.returncode, other.stderr) == (2, "error: --one-in 3 is for backwards, not causal: leave it out\n")
    ours = build(outsider, demo, tmp_path / "s", "--objective", "backwards", "--noise-density", 0.3)
    assert (ours.returncode, "--noise-density 0.3 is for span-corruption, not backwards" in ours.stderr) == (2, True)


def test_without_the_extension_its_shards_are_still_read_but_not_verified(outsider, demo, tmp_path):
    assert build(outsider, demo, tmp_path / "s", "--objective", "backwards").returncode == 0
    bare = {name: value for name, value in outsider.items() if name != "TAMIZ_EXTENSIONS"}
    for command in (["verify"], ["shards", "inspect"]):
        found = tamiz(bare, *command, tmp_path / "s")
        assert found.returncode == 1
        assert "backwards" in found.stderr + found.stdout
        assert "TAMIZ_EXTENSIONS" in found.stderr + found.stdout
    assert ShardRows(tmp_path / "s", batch_size=4).batch(0, 0)["input_ids"].shape == (4, 100)
