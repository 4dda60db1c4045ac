"""An objective of somebody else's: one module outside of the library, from `shards build` to reading its rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from corpora.rows import ShardRows
from corpora.tokens.shards import read_rows
from tests.conftest import digests
from tests.outsider import copy_toy, tamiz


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the objective's file."""
    return copy_toy("objective", tmp_path_factory.mktemp("outsider")).parent


def build(home, demo, out, *more, extensions="objective"):
    options = ("--tokenizer", "byt5", "--sequence-length", 100, "--validation-fraction", 0.1, "--out", out)
    given = ("--input", demo / "documents.jsonl", *options, *more)
    return tamiz(home, "shards", "build", *given, extensions=extensions)


def test_an_objective_of_somebody_elses(home, demo, tmp_path):
    out = tmp_path / "shards"
    for workers in (1, 2):
        built = build(
            home, demo, (out, tmp_path / "two")[workers - 1], "--objective", "backwards", "--one-in", 3,
            "--workers", workers,
        )  # fmt: skip
        assert (built.returncode, built.stderr) == (0, "")
    assert digests(out) == digests(tmp_path / "two")
    assert build(home, demo, tmp_path / "c", "--objective", "causal", extensions="").returncode == 0
    plain = read_rows(tmp_path / "c/train/part-00000.parquet")["input_ids"]
    stored = read_rows(out / "train/part-00000.parquet")
    turned = np.arange(len(plain)) % 3 == 0
    assert np.array_equal(stored["turned"], turned)
    assert np.array_equal(stored["input_ids"][~turned], plain[~turned])
    assert np.array_equal(stored["input_ids"][turned], plain[turned][:, ::-1])

    verified = tamiz(home, "verify", out, extensions="objective")
    assert (verified.returncode, verified.stderr) == (0, "")
    inspected = tamiz(home, "shards", "inspect", out, "--row", 1, extensions="objective")
    assert (inspected.returncode, inspected.stderr) == (0, "")
    assert "backwards" in inspected.stdout

    batch = ShardRows(out, batch_size=4).batch(0, 0)
    for row, is_turned in zip(batch["input_ids"], batch["turned"], strict=True):
        assert (row[::-1] if is_turned else row).tolist() in plain.tolist()


def test_its_fingerprint_covers_its_own_settings(home, demo, tmp_path):
    assert build(home, demo, tmp_path / "s", "--objective", "backwards").returncode == 0
    settings = json.loads((tmp_path / "s/manifest.json").read_bytes())["made_from"]["settings"]
    assert (settings["objective"], settings["one_in"]) == ("backwards", 2)
    again = build(home, demo, tmp_path / "s", "--objective", "backwards", "--one-in", 5)
    assert again.returncode == 1
    assert "one_in: 2 -> 5" in again.stderr


def test_what_is_refused_names_it(home, demo, tmp_path):
    other = build(home, demo, tmp_path / "s", "--objective", "causal", "--one-in", 3)
    assert (other.returncode, other.stderr) == (2, "error: --one-in 3 is for backwards, not causal: leave it out\n")
    ours = build(home, demo, tmp_path / "s", "--objective", "backwards", "--noise-density", 0.3)
    assert (ours.returncode, "--noise-density 0.3 is for span-corruption, not backwards" in ours.stderr) == (2, True)


def test_without_the_extension_its_shards_are_still_read_but_not_verified(home, demo, tmp_path):
    assert build(home, demo, tmp_path / "s", "--objective", "backwards").returncode == 0
    for command in (["verify"], ["shards", "inspect"]):
        found = tamiz(home, *command, tmp_path / "s", extensions="")
        assert found.returncode == 1
        assert "backwards" in found.stderr + found.stdout
        assert "TAMIZ_EXTENSIONS" in found.stderr + found.stdout
    assert ShardRows(tmp_path / "s", batch_size=4).batch(0, 0)["input_ids"].shape == (4, 100)
