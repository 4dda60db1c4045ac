"""Curves are read from manifests of any age."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.sampling import Uniform
from corpora.sampling.methods import read_curve
from tamiz.report.curves import curve_of
from tamiz.report.page import write_report
from tests.make_scores import scored_corpus

FLAT = {"kernel": Uniform(0.5).to_builtins()}


@pytest.mark.parametrize(
    ("per", "group"),
    [(["language", "source"], "es/wiki"), (["source"], "wiki"), ([], "all"), ("language", "es")],
)
def test_what_the_groups_are_may_be_listed(per, group):
    assert curve_of({"per": per, "groups": {group: FLAT}}, "es", "wiki") == read_curve(FLAT["kernel"])
    assert curve_of({"per": per, "groups": {"other": FLAT}}, "es", "wiki") is None


@pytest.mark.parametrize("per", [["source", "language"], 3, {"by": 1}, "folder"])
def test_groups_that_nobody_knows_are_refused_in_a_line(per):
    with pytest.raises(DamagedFile, match=r"the sample's manifest says per .*: sample again"):
        curve_of({"per": per, "groups": {}}, "es", "wiki")


def test_the_page_of_an_old_sample(tmp_path, monkeypatch):
    monkeypatch.setattr("tamiz.drawing.DPI", 30)
    folder, patterns = scored_corpus(tmp_path)
    content = manifest.read(folder / "sampled")
    content.facts["per"] = [content.facts["per"]]
    manifest.write(folder / "sampled", content)
    page = Path(write_report(folder / "sampled", inputs=patterns)).read_text()
    assert "keep probability" in page
