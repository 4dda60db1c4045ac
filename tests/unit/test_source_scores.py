"""`calibrate --source-by`: quartiles of hosts, folders and columns, and warnings as `sample` gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.documents.items import work_items
from corpora.errors import DamagedFile, StaleOutput
from corpora.perplexity import source_scores
from corpora.perplexity.source_scores import calibrate_sources
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import sample_settings
from corpora.sampling.solve import quartiles
from corpora.verify import verify
from pipelines.sample import sample
from pipelines.settings import RunnerSettings
from tamiz.calibrate import calibrate
from tamiz.report.page import write_report
from tests.command import tamiz
from tests.make_scores import Scored, write_scored


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Plots with few dots, which are quick to draw."""
    monkeypatch.setattr("tamiz.drawing.DPI", 30)


def documents() -> list[Scored]:
    prose = [Scored(f"prosa {n}", f"https://prosa.invalid/a/{n}", 50.0 + n % 40) for n in range(300)]
    verse = [Scored(f"verso {n}", f"https://verso.invalid/b/{n}", 4000.0 + n) for n in range(60)]
    return [*prose[:100], *verse, *prose[100:], Scored("sin", None, 70.0)]


@pytest.fixture
def scored(tmp_path) -> tuple[list[str], Path]:
    return write_scored(tmp_path, {"es.jsonl": documents()}, item_bytes=3000)


def wanted(by: str) -> dict[str, list[float]]:
    names = {"host": ("prosa.invalid", "verso.invalid"), "path": ("prosa.invalid/a", "verso.invalid/b")}[by]
    found: dict[str, list[float]] = {}
    for one in documents():
        name = "unknown" if one.url is None else names["verso" in one.url]
        found.setdefault(name, []).append(one.perplexity)
    return found


@pytest.mark.parametrize("by", ["host", "path"])
def test_quartiles_by_the_address_of_documents(by, scored):
    patterns, scores = scored
    before = calibrate(scores)[0]
    facts, written = calibrate(scores, source_by=by, inputs=patterns)
    sources = facts.pop("sources")
    assert facts == before
    expected = {name: LogHistogram.of(values) for name, values in wanted(by).items()}
    assert {name: one["documents"] for name, one in sources["groups"].items()} == {
        name: histogram.total for name, histogram in expected.items()
    }
    assert all(one["boundaries"] == list(quartiles(expected[name])) for name, one in sources["groups"].items())
    assert list(sources["groups"]) == sorted(expected, key=lambda name: -expected[name].total)
    assert (sources["by"], sources["documents"], sources["count"]) == (by, 361, 3)
    assert json.loads((scores / "calibration.json").read_bytes())["sources"] == sources
    assert verify(scores)[1] == []
    assert len(written) == 2


def test_the_command_shows_the_sources_and_warns(scored, capsys):
    patterns, scores = scored
    code, out, error = tamiz(capsys, "calibrate", scores, "--source-by", "host", "--input", patterns[0])
    assert code == 0
    assert "Sources by host: 361 scored documents" in out
    assert "verso.invalid" in out
    assert "keep 0.125: of the source verso.invalid (60 documents), 0.00% are expected to be kept" in error
    assert "prosa.invalid" not in error


def test_sources_by_file_need_no_documents(scored):
    _, scores = scored
    facts, _ = calibrate(scores, source_by="file")
    assert {name: one["documents"] for name, one in facts["sources"]["groups"].items()} == {"es": 361}
    assert facts["sources"]["warnings"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source-by", "host"], "--source-by host needs the scored documents: name them with --input PATTERN"),
        (["--source-by", "folder", "--input", "x"], "it must be file, host, path or column:NAME"),
        (["--input", "x"], "--input is given, but only --source-by host, path or column:NAME reads documents"),
    ],
)
def test_what_is_missing_is_said(arguments, message, scored, capsys):
    code, _, error = tamiz(capsys, "calibrate", scored[1], *arguments)
    assert code == 2
    assert message in error


def test_documents_that_were_not_scored_are_refused(scored, tmp_path):
    (tmp_path / "other" / "in").mkdir(parents=True)
    (tmp_path / "other" / "in" / "es.jsonl").write_text('{"text": "otro", "url": "https://a.invalid"}\n')
    with pytest.raises(StaleOutput, match=r"es\.jsonl is not the file that was scored: name the scored files"):
        calibrate(scored[1], source_by="host", inputs=[str(tmp_path / "other" / "in" / "*")])


def later(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, "row", pc.add(rows["row"], pa.scalar(1, pa.int32())))


@pytest.mark.parametrize("change", [later, lambda rows: rows[:-1], lambda rows: pa.concat_tables([rows, rows[:1]])])
def test_documents_with_scores_of_others_are_refused(change, scored):
    """In `sample` too, which reads the documents again as well."""
    patterns, scores = scored
    item = work_items(patterns, int(manifest.read(scores).made_from.settings["item_bytes"]))[0]
    path = scores / f"{item.name}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(DamagedFile, match=r"match its scores|rows but .* scores"):
        calibrate_sources(scores, [item], "host")
    settings = sample_settings(method="random", keep=1.0)
    with pytest.raises(DamagedFile, match=r"match its scores|rows but .* scores"):
        sample(patterns, scores, scores.parent / "sampled", settings, RunnerSettings())


def test_many_sources_of_an_item_are_counted_together(scored, monkeypatch):
    patterns, scores = scored
    item_bytes = int(manifest.read(scores).made_from.settings["item_bytes"])
    items = work_items(patterns, item_bytes)
    assert len(items) > 3
    every = calibrate_sources(scores, items, "host").by("all")
    monkeypatch.setattr(source_scores, "MOST", 1)
    few = calibrate_sources(scores, items, "host")
    assert {source for _, source in few.groups} >= {"(others)", "prosa.invalid"}
    assert few.by("all") == every
    assert np.isclose(few.total, 361)


def test_the_page_shows_the_quartiles_of_the_sources(scored):
    patterns, scores = scored
    calibrate(scores, source_by="host", inputs=patterns)
    page = Path(write_report(scores, inputs=patterns)).read_text()
    assert "Perplexity by host" in page
    assert "verso.invalid" in page
