"""Calibration and samples by group, end to end: the same whatever the partition, and what the manifest says is so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.errors import BadArgument
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.routing import LmChoice
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import read_curve, sample_settings
from corpora.sampling.solve import quartiles
from pipelines.sample import sample
from pipelines.score import score
from pipelines.settings import RunnerSettings, ScoreSettings
from tamiz.calibrate import calibrate
from tamiz.verify import verify
from tests.command import tamiz

HERE = RunnerSettings(workers=2)


def documents(demo: Path) -> list[bytes]:
    """The demo's documents, every third of them said to be Portuguese."""
    lines = (demo / "documents.jsonl").read_bytes().splitlines()
    found = []
    for number, line in enumerate(lines):
        document = json.loads(line)
        document["lang"] = "pt" if number % 3 == 0 else "es"
        found.append(msgspec.json.encode(document) + b"\n")
    return found


def scored(folder: Path, lines: Sequence[bytes], num_files: int, lm: Path) -> tuple[list[str], Path]:
    """The documents in so many files of one source, and their scores. Returns (patterns, scores)."""
    (folder / "in").mkdir(parents=True)
    for number in range(num_files):
        name = "demo.jsonl" if num_files == 1 else f"demo-{number:05d}-of-{num_files:05d}.jsonl"
        (folder / "in" / name).write_bytes(b"".join(lines[number::num_files]))
    patterns = [str(folder / "in" / "*")]
    models = [LmChoice(str(lm), language=language) for language in ("es", "pt")]
    settings = ScoreSettings(item_bytes=30_000 * num_files, language_column="lang")
    score(patterns, models, folder / "scores", settings, HERE)
    return patterns, folder / "scores"


@pytest.fixture(scope="module")
def partitions(demo, lm, tmp_path_factory) -> list[tuple[list[str], Path]]:
    """The same documents in 1, 3 and 7 files."""
    lines = documents(demo)
    return [scored(tmp_path_factory.mktemp("cut") / str(n), lines, n, lm) for n in (1, 3, 7)]


def rows(folder: Path) -> Counter[tuple[object, ...]]:
    """Every kept document with all its columns."""
    tables = [pq.read_table(path).to_pylist() for path in sorted(folder.glob("part-*.parquet"))]
    return Counter(tuple(row.values()) for table in tables for row in table)


SETTINGS = [
    sample_settings(keep=0.4, width="bertin-early"),
    sample_settings(method="stepwise", keep={"es": 0.2, "*": 0.6}),
    sample_settings(method="buckets", keep_documents={"es": 40}, keep=0.5, keep_buckets=("head", "middle")),
    sample_settings(per="language,source", keep={"es/demo": 0.3, "pt/demo": 0.7}),
    sample_settings(per="all", method="random", keep_documents=100),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.method} per {s.per}")
def test_the_kept_documents_do_not_depend_on_the_partition(settings, partitions, tmp_path):
    kept, facts = [], []
    for number, (patterns, scores) in enumerate(partitions):
        outcome = sample(patterns, scores, tmp_path / str(number), settings, HERE)
        kept.append(rows(tmp_path / str(number)))
        facts.append(outcome.manifest.facts)
        assert verify(tmp_path / str(number))[1] == []
    assert kept[0].total() > 20
    assert kept[0] == kept[1] == kept[2]
    assert facts[0] == facts[1] == facts[2]


def test_calibration_does_not_depend_on_the_partition(partitions):
    files = []
    for _, scores in partitions:
        before = manifest.read(scores).fingerprint
        facts, _ = calibrate(scores, [0.3])
        plain = (scores / "calibration.json").read_bytes()
        assert json.loads(plain) == msgspec.json.decode(msgspec.json.encode(facts))
        content = manifest.read(scores)
        assert [r.path for r in content.derived] == ["calibration-es.png", "calibration-pt.png", "calibration.json"]
        assert content.fingerprint == before == json.loads(plain)["scores"]
        assert verify(scores)[1] == []
        files.append(plain.replace(before.encode(), b""))
    assert files[0] == files[1] == files[2]


def test_calibration_says_what_the_scores_are(partitions):
    _, scores = partitions[1]
    facts, _ = calibrate(scores)
    tables = [pq.read_table(path).to_pylist() for path in scores.glob("*.parquet")]
    for language in ("es", "pt"):
        column = np.array([r["perplexity"] for t in tables for r in t if r["language"] == language], np.float64)
        column = column[~np.isnan(column)]
        group = facts["per"]["language"][language]
        assert group["documents"] == len(column)
        for share, value in group["quantiles"].items():
            assert abs(value / np.quantile(column, float(share)) - 1) < 0.001
        below = float((column < group["head_below"]).mean()), float((column < group["middle_below"]).mean())
        assert below == pytest.approx((0.3, 0.6), abs=2 / len(column))
        for sampler in group["samplers"]["0.125"].values():
            share = read_curve(sampler["kernel"]).keep_probability(column).mean()
            assert abs(share / 0.125 - 1) < 1e-4
        finest = facts["per"]["language,source"][f"{language}/demo"]
        assert LogHistogram.from_builtins(finest["histogram"]) == LogHistogram.of(column)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.method} per {s.per}")
def test_facts_are_of_the_documents_themselves(settings, partitions, tmp_path):
    """The expected share is a sum over documents, and within 1e-4 of the wanted one."""
    patterns, scores = partitions[0]
    facts = sample(patterns, scores, tmp_path / "out", settings, HERE).manifest.facts
    histograms = Calibration.of_scores(scores, manifest.read_finished(scores, "score")).by(settings.per)
    assert sorted(facts["groups"]) == sorted(histograms)
    for name, group in facts["groups"].items():
        total = histograms[name].total
        assert (group["documents"], group["scored"]) == (total, total)
        assert group["quartiles"] == list(quartiles(histograms[name]))
        wanted = settings.shares.get(name, settings.shares.get("*"))
        number = settings.numbers.get(name, settings.numbers.get("*"))
        share = number / total if number else wanted
        assert abs(group["expected_share"] / share - 1) < 1e-4
    assert sum(group["kept"] for group in facts["groups"].values()) == facts["kept"] == rows(tmp_path / "out").total()


def test_buckets_are_a_column(partitions, tmp_path):
    patterns, scores = partitions[1]
    for form in ("parquet", "jsonl.zst"):
        out = tmp_path / form
        outcome = sample(patterns, scores, out, sample_settings(method="buckets", format=form), HERE)
        groups = outcome.manifest.facts["groups"]
        assert outcome.manifest.counts["kept"] == sum(g["scored"] for g in groups.values())
    kept = [row for path in (tmp_path / "parquet").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    found = Counter(row["bucket"] for row in kept)
    assert found["head"] / found.total() == pytest.approx(0.3, abs=0.01)
    assert found["middle"] / found.total() == pytest.approx(0.3, abs=0.01)
    lines = b"".join(_unzstd(path) for path in sorted((tmp_path / "jsonl.zst").glob("part-*"))).splitlines()
    assert Counter(json.loads(line)["bucket"] for line in lines) == found


def _unzstd(path: Path) -> bytes:
    import zstandard

    with zstandard.open(path, "rb") as file:
        return bytes(file.read())


def test_a_part_of_the_inputs_is_fitted_to_its_own_scores(partitions, tmp_path):
    patterns, scores = partitions[1]
    part = [patterns[0].replace("*", "demo-00001-*")]
    name = next(path.name for path in scores.glob("demo-00001-*.parquet"))
    perplexity = pq.read_table(scores / name).column("perplexity").drop_null().to_numpy()
    settings = sample_settings(keep_documents=len(perplexity) // 2, width="bertin-early", per="all")
    made = sample(part, scores, tmp_path / "part", settings, HERE).manifest
    assert made.facts["documents"] == made.facts["scored"] == len(perplexity)
    assert made.facts["quartiles"] == pytest.approx(np.quantile(perplexity, [0.25, 0.5, 0.75]), rel=1e-3)
    assert made.facts["expected_share"] == pytest.approx(0.5, abs=0.01)
    assert made.made_from.settings["fitted_to"] == "inputs"
    more = sample_settings(keep_documents=len(perplexity) + 1, width="bertin-early")
    with pytest.raises(BadArgument, match=f"only {len(perplexity):,} documents"):
        sample(part, scores, tmp_path / "more", more, HERE)


def test_a_group_without_documents_is_refused_before_any_work(partitions, tmp_path):
    patterns, scores = partitions[0]
    with pytest.raises(BadArgument, match=r"--keep fr: .* scored groups are es \(\d+\), pt \(\d+\)"):
        sample(patterns, scores, tmp_path / "out", sample_settings(keep={"fr": 0.5, "*": 0.1}), HERE)
    assert not (tmp_path / "out").exists()


def test_the_command_shows_groups_samplers_and_bertins_table(capsys, partitions):
    _, scores = partitions[2]
    code, out, _ = tamiz(capsys, "calibrate", str(scores), "--keep", "0.25", "--bertin")
    assert code == 0
    for text in ("es", "pt", "keep 0.125 of es", "keep 0.25 of pt", "calibration.json"):
        assert text in out
    bertins = out[out.index("BERTIN's parameters") :]
    for row in (
        ["gaussian bertin", "0.78", "0.774", "0.780", "0.754", "0.625", "0.106"],
        ["gaussian bertin-early", "0.78", "0.663", "0.780", "0.396", "0.00867", "0.000"],
        ["stepwise", "150000", "0.280", "1 (1.19)", "0.0163", "0.0163", "0.0163"],
        ["random", "0.5", "0.500", "0.500", "0.500", "0.500", "0.500"],
    ):
        assert row in [[cell.strip() for cell in line.split("│")[1:-1]] for line in bertins.splitlines()]
    code, _, error = tamiz(capsys, "calibrate", str(scores), "--keep", "1.5")
    assert (code, error.strip()) == (2, "error: keep is 1.5; it must be above 0 and at most 1")


def test_the_sample_command_takes_shares_by_group(capsys, partitions, tmp_path):
    patterns, scores = partitions[0]
    given = ("sample", "--input", *patterns, "--scores", str(scores))
    asked = ("--keep", "es=0.2", "--keep", "0.6", "--width", "bertin-early", "--out", str(tmp_path / "out"))
    code, out, _ = tamiz(capsys, *given, *asked)
    assert code == 0
    facts = manifest.read(tmp_path / "out").facts
    assert facts["groups"]["es"]["expected_share"] == pytest.approx(0.2, rel=1e-4)
    assert facts["groups"]["pt"]["expected_share"] == pytest.approx(0.6, rel=1e-4)
    assert facts["groups"]["es"]["kernel"]["width"] == 2 / 9
    assert out.count("keep probability") == 2
    for flags, named in (
        (("--keep", "es=x"), "must be SHARE or GROUP=SHARE"),
        (("--keep-documents", "0.5"), "must be N or GROUP=N"),
        (("--keep", ".1", "--keep", ".2"), "given twice"),
        (("--width", "early"), "width is 'early'; it must be bertin, bertin-early or a number"),
        (("--percentiles", "1,2,3"), "must be two numbers, A,B"),
    ):
        code, _, error = tamiz(capsys, *given, *flags, "--out", str(tmp_path / "none"))
        assert (code, named in error) == (2, True)


def test_the_wanted_share_is_kept_on_real_scores(es_shards, lm, tmp_path):
    """|expected - wanted| <= 1e-4 of it, over documents of a real shard."""
    from corpora.documents.items import work_items
    from corpora.documents.reading import read_batches

    (item,) = work_items([str(es_shards[0])])
    texts = [text for batch in read_batches(item) for text in batch.texts][:600]
    path = tmp_path / "es.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode({"text": text}) + b"\n" for text in texts))
    score([str(path)], lm, tmp_path / "scores", ScoreSettings(), HERE)
    for method, options in (("gaussian", {"width": 4.5}), ("gaussian", {"width": 2 / 9}), ("stepwise", {})):
        for keep in (0.02, 0.125, 0.5):
            out = tmp_path / f"{method}{options}{keep}"
            settings = sample_settings(method=method, keep=keep, **options)
            facts = sample([str(path)], tmp_path / "scores", out, settings, HERE).manifest.facts
            assert facts["kernel"] == facts["groups"]["unknown"]["kernel"]
            assert abs(facts["expected_share"] / keep - 1) < 1e-4
