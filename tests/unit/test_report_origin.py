"""The page's head says how a run was made, and its tables say each thing once, in units people read."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from corpora import manifest
from corpora.verify import verify
from tamiz.log import RunLog
from tamiz.report import stages
from tamiz.report.folders import find
from tamiz.report.groups import groups_table, named_groups
from tamiz.report.html import cell
from tamiz.report.origin import sampler, share
from tamiz.report.page import write_report
from tamiz.report.rows import item_rows
from tamiz.report.runlog import last_command
from tamiz.report.summary import summarise
from tamiz.report.values import duration, name_of, text_of
from tests.make_scores import documents, sampled, scored_corpus, write_scored
from tests.unit.test_report_page import read_page


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Plots with few dots, which are quick to draw."""
    monkeypatch.setattr("tamiz.drawing.DPI", 30)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[Path, list[str]]:
    return scored_corpus(tmp_path_factory.mktemp("corpus"))


def run_folder(corpus: tuple[Path, list[str]], run: Path, recipe: dict[str, object]) -> Path:
    """A run with scores, a sample and a recipe, and no log."""
    for name in ("scores", "sampled"):
        shutil.copytree(corpus[0] / name, run / name, ignore=shutil.ignore_patterns("report"))
    manifest.begin(run / "x", manifest.MadeFrom(stage="run", algorithm=1, settings={}, inputs=[]))
    shutil.move(run / "x" / "manifest.json", run / "manifest.json")
    (run / "recipe.json").write_text(json.dumps(recipe))
    manifest.finish(run, records=[manifest.record(run, run / "recipe.json")])
    return run


def logged(run: Path, arguments: list[str], state: str) -> None:
    log = RunLog()
    log.start(arguments)
    log.in_folder(run)
    log.event("finished", stage="score", state=state, seconds=1.0, gpu="NVIDIA H200")
    log.end(0)


def made(page: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in read_page(page)[1].rows if len(row) == 2}


def test_the_head_tells_the_command_the_machine_and_the_settings(corpus, tmp_path):
    recipe = {
        "title": "Mine", "language": "es", "reference": "https://example.invalid/paper",
        "documents": [{"input": ["s3://me:hunter2@host/x.jsonl"]}],
        "sample": {"method": "gaussian", "width": 0.2222222222222222, "seed": 7, "median": None},
        "train": {"seed": 0, "betas": [0.9, 0.999]},
    }  # fmt: skip
    run = run_folder(corpus, tmp_path, recipe)
    logged(run, ["run", "mine.toml", "--until", "lm"], "new")  # an earlier one
    logged(run, ["run", "mine.toml", "--set", "a b=1", "--hf_token", "sesame"], "new")
    logged(run, ["run", "mine.toml"], "finished")  # made nothing
    with (run / "log.jsonl").open("a") as file:
        file.write('{"time": "2026-')  # torn
    write_report(run)
    page, reader = read_page(run)
    head = made(run)
    assert head["command"] == "tamiz run mine.toml --set 'a b=1' --hf_token '***'"
    assert "cores" in head["machine"]
    assert "NVIDIA H200" in head["machine"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d.* UTC", head["date"])
    assert head["seed"] == "sample 7, train 0"
    assert head["language"] == "es"
    assert head["sample.width"] == "0.2222222222222222"
    assert head["train.betas"] == "0.9, 0.999"
    assert "sample.median" not in head
    assert "hunter2" not in page
    assert "sesame" not in page
    assert ("a", {"href": "https://example.invalid/paper"}) in reader.tags
    assert page.index("How it was made") < page.index("<h2>Sampler") < page.index("<h2>Perplexity")


def test_a_folder_without_a_log_or_recipe_has_a_head_too(corpus):
    folder, patterns = corpus
    write_report(folder / "sampled", inputs=patterns)
    head = made(folder / "sampled")
    assert "command" not in head
    assert head["seed"] == "0"
    assert head["sample.keep"] == "0.4"
    assert head["kept share, asked for"] == "40%"
    assert last_command(folder / "sampled") is None


def test_quartiles_and_groups_that_nearly_vanish_are_marked(corpus):
    folder, patterns = corpus
    write_report(folder / "sampled", inputs=patterns)
    rows = {row[0]: row for row in read_page(folder / "sampled")[1].rows}
    assert rows["4"] == ["4", "⚠ 0.885%", "0.563%"]  # 2 of 226 documents
    assert rows["es"][1:4] == ["750", "292", "38.9%"]
    assert rows["es"][7] == "⚠ 0.532%"

    assert share(0, 49) == "0%"  # so few may vanish by chance


def test_sources_that_nearly_vanish_are_marked(tmp_path):
    rng = random.Random(3)
    files = {"prose.jsonl": documents(rng, "a", 300, 60.0), "verse.jsonl": documents(rng, "b", 100, 6000.0)}
    patterns, _ = write_scored(tmp_path, files)
    scored = find(sampled(tmp_path, patterns, keep=0.2, per="all"), inputs=patterns)
    summary = summarise(item_rows(scored))
    page = groups_table(named_groups(summary, scored), summary, scored, "pieces")
    prose, verse = (page.partition(f">{name}<")[2].partition("</tr>")[0] for name in ("prose", "verse"))
    assert "⚠ 0%" in verse
    assert "⚠" not in prose
    assert "language" not in page  # none is known


def test_units_follow_from_the_key():
    assert text_of("energy_seconds", 638.5721) == "10 min 39 s"
    assert text_of("peak_memory_bytes", 1_328_799_744) == "1.3 GB"
    assert name_of("peak_memory_bytes") == "peak memory"
    assert text_of("energy_kwh", 0.0123456) == "0.0123 kWh"
    assert text_of("kept_shares", [0.5, 0.001]) == "50% / 0.1%"
    assert text_of("initial_validation_loss", 9.33361) == "9.334 nats"
    assert text_of("rows", {"train": 2030, "validation": 25}) == "train 2,030, validation 25"
    digest = "0123456789abcdef" * 4
    assert text_of("tokenizer_sha256", digest).count(digest) == 2  # in the title and unfolded
    assert "0123456789ab…" in text_of("tokenizer_sha256", digest)
    for several in ([digest, digest], {"lm_sha256": digest, "<b>_sha256": digest}):
        shown = cell(text_of("models", several))
        assert shown.count("<summary><code>0123456789ab…</code></summary>") == 2
        assert "<b>" not in shown
    assert text_of("parts", [{"file": "a"}]) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.21 s"), (59.99, "60 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min"), (11100, "3 h 5 min"),
     (86399.9, "1 d 0 h"), (187200, "2 d 4 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_stage_says_each_thing_once():
    facts = {
        "kept": 3,
        "bytes": 1000,
        "bytes_seen": 1000,
        "seconds": 2.0,
        "energy_seconds": 2.0,
        "raw_length": 8,
    }
    made_from = manifest.MadeFrom(stage="tokenizer", algorithm=1, settings={}, inputs=[])
    files = [manifest.FileRecord(path="a", bytes=2500, sha256="0" * 64)]
    content = manifest.Manifest(
        stage="tokenizer", fingerprint="f" * 32, made_from=made_from, facts=facts, files=files,
        counts={"read": 5, "kept": 3, "sampled_out": 2, "rejected": {}},
    )  # fmt: skip
    names = re.findall(r"<tr><td><bdi>(.*?)</bdi>", stages.section("Tokenizer", content))
    assert len(names) == len(set(names))
    assert names == ["rows read", "documents kept", "documents sampled out", "size of the text", "time",
                     "ids of the text in a row", "files", "fingerprint"]  # fmt: skip


def test_what_a_killed_report_left_is_removed(corpus, tmp_path):
    shutil.copytree(corpus[0] / "scores", tmp_path / "scores")
    left = tmp_path / "scores" / "report" / "length.png.tmp-0123456789ab"
    left.parent.mkdir()
    left.write_bytes(b"half a plot")
    write_report(tmp_path / "scores")
    assert not left.exists()
    assert verify(tmp_path / "scores")[1] == []


def test_sources_that_the_sample_counts_are_told(corpus):
    scored = find(corpus[0] / "sampled", inputs=corpus[1])
    assert "Sources by" not in sampler(scored)
    scored.sample.made_from.settings["source_by"] = "host"
    scored.sample.facts["sources"] = {
        "es.example": {"documents": 9000, "kept": 4500, "expected_share": 0.5},
        "<b>.example": {"documents": 948, "kept": 1, "expected_share": 0.001},
    }
    scored.sample.facts["lost_warnings"] = ["of the source <b>.example, 0.1% is kept"]
    page = sampler(scored)
    assert "<h3>Sources by host</h3>" in page
    assert "⚠ 0.105%" in page
    assert '<p class="problem">of the source &lt;b&gt;.example, 0.1% is kept</p>' in page
    assert page.count("⚠") == 3  # and the highest quartiles of all and of es
