"""An outsider's sampling method: one module beside tamiz, named by TAMIZ_EXTENSIONS, used like the built-in ones."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora import manifest
from tests import outsider
from tests.conftest import ROOT
from tests.make_scores import Scored, documents, write_scored


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The module, two scored files in two languages."""
    folder = tmp_path_factory.mktemp("outsider")
    outsider.copy_toy("sampler", folder)
    write_scored(folder, corpus(), {"a.jsonl": "es", "b.jsonl": "pt"}, item_bytes=20_000)
    return folder


def corpus() -> dict[str, list[Scored]]:
    rng = random.Random(3)
    return {"a.jsonl": documents(rng, "a", 300, 60.0), "b.jsonl": documents(rng, "b", 100, 200.0)}


def tamiz(home: Path, *arguments: object, code: int = 0) -> str:
    done = outsider.tamiz(home, *arguments, extensions="sampler")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def sample(home: Path, out: str, *more: object, code: int = 0) -> str:
    given = ("--input", home / "in" / "*", "--scores", home / "scores", "--out", home / out)
    return tamiz(home, "sample", *given, *more, code=code)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def test_the_command_draws_with_it_and_lists_its_flag(home):
    text = " ".join(sample(home, "never", "--help").split())
    assert "[gaussian|stepwise|random|buckets|below]" in text
    assert "below: Keeps only documents below a perplexity. [default: gaussian]" in text
    assert "--limit FLOAT below: Leave out documents with this perplexity or more. [default: 100]" in text

    summary = sample(home, "one", "--method", "below", "--limit", 90, "--workers", 1)
    assert "below: limit 90, factor 1" in summary
    table = [row for path in sorted((home / "one").glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]
    below = [d.url for file in corpus().values() for d in file if d.perplexity < 90]
    assert [row["url"] for row in table] == below
    assert {row["keep_probability"] for row in table} == {1.0}
    facts = manifest.read(home / "one").facts
    assert facts["groups"]["pt"]["kernel"] == {"name": "below", "limit": 90.0, "factor": 1.0}
    assert (facts["kept"], facts["documents"]) == (len(below), 400)

    sample(home, "two", "--method", "below", "--limit", 90, "--workers", 2)
    assert contents(home / "two") == contents(home / "one")
    tamiz(home, "verify", home / "one")


def test_an_installed_package_needs_no_variable(tmp_path):
    outsider.copy_toy("sampler", tmp_path)
    installed = tmp_path / "my_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[tamiz.extensions]\nmy_sampler = sampler\n")
    shown = outsider.tamiz(tmp_path, "sample", "--help", extensions="")
    assert "random|buckets|below]" in shown.stdout


def test_a_share_is_solved_for_in_each_group(home):
    sample(home, "share", "--method", "below", "--limit", 150, "--keep", "pt=0.2", "--keep", "0.5")
    groups = manifest.read(home / "share").facts["groups"]
    assert groups["pt"]["expected_share"] == pytest.approx(0.2, rel=1e-6)
    assert groups["es"]["expected_share"] == pytest.approx(0.5, rel=1e-6)
    assert 0 < groups["pt"]["kernel"]["factor"] <= 1
    tamiz(home, "report", home / "share")
    assert (home / "share" / "report" / "perplexity.png").is_file()


@pytest.mark.engine
def test_a_worker_in_another_process_finds_it(home):
    sample(home, "here", "--method", "below", "--limit", 90)
    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    sample(home, "there", "--method", "below", "--limit", 90, *processes)
    assert contents(home / "there") == contents(home / "here")


def test_mistakes_name_it(home):
    error = sample(home, "never", "--limit", 90, code=2)
    assert error == "error: --limit 90.0 is for below, not gaussian: leave it out\n"
    error = sample(home, "never", "--method", "below", "--width", 2, code=2)
    assert error == "error: --width 2 is for gaussian, not below: leave it out\n"
    assert not (home / "never").exists()


def test_calibrate_recommends_it(home):
    shown = tamiz(home, "calibrate", home / "scores")
    assert re.search(r"│? *below +│? *[\d.]+", shown)
    samplers = json.loads((home / "scores" / "calibration.json").read_text())["per"]["language"]["es"]["samplers"]
    assert list(samplers["0.125"]) == ["below", "gaussian bertin", "gaussian bertin-early", "random", "stepwise"]
    assert samplers["0.125"]["below"]["kernel"]["name"] == "below"


@pytest.mark.slow
def test_a_recipe_names_it(home):
    path = ROOT / "tamiz" / "recipes" / "t5-spanish-efficient-tiny.demo.toml"
    head, _, tail = path.read_text().partition("[sample]\n")
    section = '[sample]\nmethod = "below"\nlimit = 120.0\n\n'
    own = home / "own.toml"
    own.write_text(head + section + tail[tail.index("[tokenizer]") :])
    tamiz(home, "run", own, "--until", "sample", "--out", home / "run")
    facts = manifest.read(home / "run" / "sampled").facts
    assert facts["kernel"] == {"name": "below", "limit": 120.0, "factor": 1.0}
    assert 0 < facts["kept"] < facts["documents"]

    own.write_text(head + section.replace("limit", "width") + tail[tail.index("[tokenizer]") :])
    error = tamiz(home, "run", own, "--out", home / "never", code=2)
    assert error == "error: own: sample: width does not apply to the method below: remove it\n"
