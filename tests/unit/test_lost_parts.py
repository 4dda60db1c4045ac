"""Warnings where next to nothing of a quartile or a source is kept; what a source is; amounts that must be given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from corpora.documents.batches import batch
from corpora.documents.groups import source_columns, sources_by
from corpora.sampling import Stepwise
from corpora.sampling.bertin import BERTIN_BOUNDARIES
from corpora.sampling.methods import sample_settings
from corpora.sampling.quartiles import QuartileCounts, count_quartiles, flat_warning, lost_quartiles
from corpora.sampling.sources import OTHERS, SourceCounts
from pipelines.sample import sample
from pipelines.settings import RunnerSettings
from tamiz.stages.common import Context
from tamiz.stages.sample import sample_stage
from tests.command import tamiz
from tests.make_scores import Scored, write_scored

URLS = {
    "https://www.UN.org/es/news/1": ("www.un.org", "www.un.org/es"),
    "http://user@a.invalid:8080/x?y=/z/": ("a.invalid", "a.invalid"),
    "https://github.com/org/repo": ("github.com", "github.com/org"),
    "//b.invalid": ("b.invalid", "b.invalid"),
    "tsv:12": ("unknown", "unknown"),
    None: ("unknown", "unknown"),
}


def test_sources_of_urls_files_and_columns():
    documents = batch(range(6), [["t"] * 6, [*URLS], [None] * 6, ["a", None, "", "b", "c", "d"]], ("lang",), [], 0)
    assert sources_by("host", documents, "x") == [host for host, _ in URLS.values()]
    assert sources_by("path", documents, "x") == [path for _, path in URLS.values()]
    assert sources_by("file", documents, "wiki-00001-of-00002.jsonl") == ["wiki"] * 6
    assert sources_by("column:lang", documents, "x") == ["a", "unknown", "unknown", "b", "c", "d"]
    assert (source_columns("column:lang"), source_columns("host")) == (("lang",), ())


@pytest.mark.parametrize("by", ["folder", "column:", ""])
def test_an_unknown_rule_for_sources_is_refused(by):
    with pytest.raises(ValueError, match="it must be file, host, path or column:NAME"):
        sample_settings(keep=0.5, source_by=by)


def counted(probabilities: list[float], each: int = 100) -> QuartileCounts:
    perplexity = np.repeat([1.0, 2.0, 3.0, 4.0], each)
    probability = np.repeat(probabilities, each)
    return count_quartiles(perplexity, probability, np.zeros(4 * each, np.bool_), [1.0, 2.0, 3.0])


def test_a_quartile_kept_below_one_per_cent_is_told():
    (line,) = lost_quartiles(counted([0.3, 0.3, 0.2, 0.004]), "more")
    assert line == "of the highest perplexities (100 documents), 0.40% are expected to be kept (below 1%); more"
    assert lost_quartiles(counted([0.3, 0.3, 0.2, 0.011]), "") == []
    assert lost_quartiles(counted([0.3, 0.3, 0.2, 0.0], each=49), "") == []
    assert lost_quartiles(counted([0.003, 0.003, 0.002, 0.002]), "") == []  # little is kept of all


def test_a_flat_sampler_is_told_with_what_is_expected():
    line = flat_warning(counted([0.3, 0.3, 0.3, 0.25]), "more")
    assert line is not None
    assert "is expected to be kept 1.20 times as often" in line


def test_counts_of_sources_add_up_in_any_order_and_name_the_largest():
    rng = np.random.default_rng(0)
    names = [f"s{n}" for n in rng.integers(0, 30, 1000)]
    probability, kept = rng.random(1000), rng.random(1000) < 0.5
    whole = SourceCounts()
    whole.add(names, probability, kept)
    parts = []
    for start in (600, 0, 300):
        part = SourceCounts()
        end = {600: 1000, 0: 300, 300: 600}[start]
        part.add(names[start:end], probability[start:end], kept[start:end])
        parts.append(part.largest())
    assert SourceCounts.sum(parts).counts == whole.counts
    assert whole.counts["s3"][0] == names.count("s3")
    assert whole.counts["s3"][2] == sum(k for name, k in zip(names, kept, strict=True) if name == "s3")
    few = whole.largest(5)
    assert len(few) == 6
    assert [sum(column) for column in zip(*few.values(), strict=True)] == [
        sum(column) for column in zip(*whole.counts.values(), strict=True)
    ]
    assert min(few[name][0] for name in few if name != OTHERS) >= max(
        count[0] for name, count in whole.counts.items() if name not in few
    )


def test_a_lost_genre_is_named_by_the_host_of_its_urls(tmp_path):
    prose = [Scored(f"prosa {n}", f"https://prosa.invalid/{n}", 50.0 + n % 40) for n in range(300)]
    verse = [Scored(f"verso {n}", f"https://verso.invalid/{n}", 400.0 + n) for n in range(60)]
    patterns, scores = write_scored(tmp_path, {"es.jsonl": [*prose, *verse]})
    settings = sample_settings(keep=0.25, source_by="host")
    report = sample_stage(patterns, scores, tmp_path / "sampled", settings, Context())
    assert [line for line in report.warnings if line.startswith("of the source verso.invalid (60 documents), ")]
    assert not [line for line in report.warnings if "prosa.invalid" in line]
    found = report.facts["sources"]
    assert {name: counts["documents"] for name, counts in found.items()} == {
        "prosa.invalid": 300,
        "verso.invalid": 60,
    }
    assert sum(counts["kept"] for counts in found.values()) == report.facts["kept"]
    by_file = sample(patterns, scores, tmp_path / "file", sample_settings(keep=0.25), RunnerSettings())
    assert list(by_file.manifest.facts["sources"]) == ["es"]


def test_a_curve_that_is_meant_to_leave_out_is_no_reason_to_warn(tmp_path):
    rows = [Scored(f"uno {n}", None, 10.0 + n) for n in range(400)]
    patterns, scores = write_scored(tmp_path, {"es.jsonl": rows})
    settings = sample_settings("buckets", keep_buckets=["head"])
    assert not sample_stage(patterns, scores, tmp_path / "sampled", settings, Context()).warnings


def test_bertins_step_at_its_last_boundary():
    """mc4-sampling: `>= boundaries[2]`."""
    b0, b1, b2 = BERTIN_BOUNDARIES
    at = Stepwise(boundaries=BERTIN_BOUNDARIES).keep_probability([b2, math.nextafter(b2, 0), b1, b0])
    assert at.tolist() == [0.016317634774994857, 0.5836499339491812, 1.0, pytest.approx(1.5e5 / b0)]


@pytest.mark.parametrize("method", ["gaussian", "stepwise", "random"])
def test_the_command_asks_for_an_amount_before_any_work(capsys, method):
    code, _, error = tamiz(capsys, "sample", "--input", "x", "--scores", "y", "--out", "z", "--method", method)
    assert code == 2
    assert "--keep SHARE, --keep-documents N or --factor F" in error


def test_the_default_width_filters_and_has_one_fingerprint():
    default, named = sample_settings(keep=0.25), sample_settings(keep=0.25, width="bertin-early")
    assert default.identity() == named.identity()
    assert default.identity()["width"] == 2 / 9
