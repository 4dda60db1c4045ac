"""Sources and groups, scores read by language, and samples fitted to groups."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.groups import group_name, source_of
from corpora.errors import BadArgument, DamagedFile
from corpora.manifest import FileRecord, MadeFrom, Manifest
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.scores import read_by_language, read_languages
from corpora.sampling.groups import FittedGroup, fit_groups
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import METHODS, SampleSettings, sample_settings
from corpora.sampling.methods.buckets import Buckets
from corpora.sampling.methods.gaussian import Gaussian, GaussianSettings


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("es__es-00000-of-00016.jsonl.zst", "es__es"),
        ("es__es-00000-of-00016.jsonl.zst.item0003", "es__es"),
        ("es__es-00000-of-00016.jsonl.zst.item0003.parquet", "es__es"),
        ("c4-es.tfrecord-00000-of-01024.json.gz", "c4-es.tfrecord"),
        ("data__train-00001-of-00002-1a2b3c4d5e6f7890.parquet.item12345.parquet", "data__train"),
        ("part-00012.parquet.parquet", "part"),
        ("wiki__00001.txt.gz", "wiki"),
        ("wiki.jsonl", "wiki"),
        ("wiki2.jsonl", "wiki2"),
        ("CC-MAIN-2023-50-00012.JSONL.GZ", "CC-MAIN-2023-50"),
        ("00001.jsonl", ""),
    ],
)
def test_a_source_is_the_name_up_to_the_shard_number(name, source):
    assert source_of(name) == source


def test_groups_are_named():
    assert [group_name(per, "es", "wiki") for per in ("all", "language", "source", "language,source")] == [
        "all",
        "es",
        "wiki",
        "es/wiki",
    ]
    assert group_name("language,source", "", "") == "unknown/unknown"


def scores_file(path, rows):
    """rows: (perplexity, language), None where rejected or unknown."""
    columns = {
        "row": pa.array(range(len(rows)), pa.int32()),
        "perplexity": pa.array([p for p, _ in rows], pa.float64()),
        "num_tokens": pa.array([3] * len(rows), pa.int32()),
        "language": pa.array([language for _, language in rows], pa.string()),
    }
    pq.write_table(pa.table(columns), path)


ROWS = [(5.0, "es"), (None, None), (7.0, None), (9.0, "pt"), (11.0, "es"), (None, "pt")]


def test_scores_are_read_by_language(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    scores_file(path, ROWS)
    languages, codes = read_languages(path)
    assert [languages[code] for code in codes] == ["es", "", "", "pt", "es", "pt"]
    for rows in (2, 100):  # whatever is read at once
        monkeypatch.setattr("corpora.perplexity.scores.ROWS", rows)
        found: dict[str, list[float]] = {}
        for language, column in read_by_language(path):
            found.setdefault(language, []).extend(column[~np.isnan(column)].tolist())
        assert found == {"es": [5.0, 11.0], "": [7.0], "pt": [9.0]}
    scores_file(path, [])
    assert list(read_by_language(path)) == []
    assert len(read_languages(path)[1]) == 0


def test_damaged_scores_are_told(tmp_path):
    path = tmp_path / "a.parquet"
    scores_file(path, ROWS)
    path.write_bytes(path.read_bytes()[:-20])
    for read in (read_languages, lambda p: list(read_by_language(p))):
        with pytest.raises(DamagedFile, match=r"a\.parquet can't be read"):
            read(path)
    pq.write_table(pa.table({"perplexity": [1.0]}), path)
    with pytest.raises(DamagedFile, match=r"a\.parquet can't be read"):
        list(read_by_language(path))


def population(seed: int, middle: float, n: int = 5000) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(np.log(middle), 0.4, n))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    groups = {
        ("es", "wiki"): LogHistogram.of(population(0, 300.0)),
        ("es", "web"): LogHistogram.of(population(1, 900.0, 3000)),
        ("pt", "web"): LogHistogram.of(population(2, 50.0, 2000)),
        ("ja", "web"): LogHistogram.of([np.nan]),
    }
    return Calibration(groups)


def test_groups_add_up(calibration):
    assert calibration.total == 10_000
    assert {name: h.total for name, h in calibration.by("language").items()} == {"es": 8000, "pt": 2000}
    assert {name: h.total for name, h in calibration.by("source").items()} == {"web": 5000, "wiki": 5000}
    assert list(calibration.by("language,source")) == ["es/web", "es/wiki", "pt/web"]
    (everything,) = calibration.by("all").values()
    assert everything == LogHistogram.sum(list(calibration.groups.values()))
    doubled = Calibration.sum([calibration, calibration])
    assert {key: h.total for key, h in doubled.groups.items()} == {
        key: 2 * h.total for key, h in calibration.groups.items()
    }


def shares(settings: SampleSettings, calibration: Calibration) -> dict[str, float]:
    """The kept share of every group."""
    histograms = calibration.by(settings.per)
    fitted = fit_groups(settings, histograms)
    return {name: round(f.curve.expected_share(histograms[name]), 9) for name, f in fitted.items()}


def fitted_to(calibration: Calibration, **settings: object) -> dict[str, FittedGroup]:
    chosen = sample_settings(**settings)
    return fit_groups(chosen, calibration.by(chosen.per))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"keep": 0.2}, {"es": 0.2, "pt": 0.2}),
        ({"keep": {"es": 0.1, "pt": 0.5}}, {"es": 0.1, "pt": 0.5}),
        ({"keep": {"es": 0.1, "*": 0.5}}, {"es": 0.1, "pt": 0.5}),
        ({"keep": {"es": 0.1}, "keep_documents": 400}, {"es": 0.1, "pt": 0.2}),
        ({"keep_documents": {"es": 4000}, "keep": 0.3}, {"es": 0.5, "pt": 0.3}),
        ({"keep_documents": 1000}, {"es": 0.1, "pt": 0.1}),
        ({"keep_documents": {"pt": 2000, "*": 800}}, {"es": 0.1, "pt": 1.0}),
        ({"keep": 0.2, "per": "all"}, {"all": 0.2}),
        ({"keep": {"wiki": 0.2, "web": 0.1}, "per": "source"}, {"wiki": 0.2, "web": 0.1}),
        (
            {"keep": {"es/wiki": 0.2, "*": 0.1}, "per": "language,source"},
            {"es/web": 0.1, "es/wiki": 0.2, "pt/web": 0.1},
        ),
    ],
)
@pytest.mark.parametrize("method", ["gaussian", "stepwise", "random", "buckets"])
def test_each_group_keeps_its_share(method, settings, expected, calibration):
    assert shares(sample_settings(method, **settings), calibration) == pytest.approx(expected, abs=1e-9)


def test_each_group_has_its_own_median(calibration):
    fitted = fitted_to(calibration, width="bertin-early")
    for name, histogram in calibration.by("language").items():
        kernel = fitted[name].curve
        assert isinstance(kernel, Gaussian)
        assert kernel.median == fitted[name].quartiles[1] == pytest.approx(histogram.quantile(0.5), rel=1e-3)
        assert kernel.width == 2 / 9
        assert fitted[name].scored == histogram.total
    assert isinstance(fitted_to(calibration, method="buckets")["es"].curve, Buckets)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"keep": {"fr": 0.2, "*": 0.1}},
            r"--keep fr: no group per language .* are es \(8,000\), pt \(2,000\)",
        ),
        ({"keep_documents": {"ja": 2, "*": 1}}, "--keep-documents ja: no group"),
        ({"keep": {"es": 0.2}}, r"no --keep value covers pt: add one for all others, such as --keep 0\.5"),
        ({"keep_documents": {"pt": 2001, "*": 1}}, "2,001, but only 2,000 documents of pt have a score"),
        ({"keep_documents": 10_001}, "10,001, but only 10,000 documents have a score"),
        (
            {"method": "buckets", "keep_buckets": ("head",), "keep": {"es": 0.1, "pt": 0.5}},
            r"group pt \(2,000 documents\): keep is 0\.5, but at most",
        ),
    ],
)
def test_what_no_group_can_give_is_refused(settings, named, calibration):
    with pytest.raises(BadArgument, match=named):
        fitted_to(calibration, **settings)


def test_no_scored_document_is_refused():
    with pytest.raises(BadArgument, match="no document has a score"):
        fitted_to(Calibration({}))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"keep": {"es": 1.5}}, r"keep is es=1\.5; it must be above 0"),
        ({"keep": 0.0}, r"keep is 0\.0"),
        ({"keep_documents": {"es": 0}}, "keep_documents is es=0"),
        ({"keep": 0.1, "keep_documents": 5}, "keep and keep_documents exclude each other"),
        ({"keep": {"es": 0.1}, "keep_documents": {"es": 5}}, "keep and keep_documents of es exclude each other"),
        ({"keep": {"es": 0.1}, "factor": 2.0}, "keep and factor exclude each other"),
        ({"keep_buckets": ("head",)}, "keep_buckets does not apply to the method gaussian"),
        ({"method": "buckets", "width": 2.0}, "width does not apply to the method buckets"),
        ({"method": "buckets", "keep_buckets": ("hed",)}, "keep_buckets are hed; choose from head,middle,tail"),
        ({"method": "buckets", "percentiles": (60.0, 30.0)}, "percentiles are .* must ascend"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        sample_settings(**settings)


def test_a_width_by_name_is_the_same_setting():
    assert GaussianSettings(width="bertin") == GaussianSettings(width=4.5)
    assert GaussianSettings(width="bertin-early").width == 2 / 9


def test_a_whole_number_is_a_width_too(calibration):
    kernel = fitted_to(calibration, width=2)["es"].curve
    assert isinstance(kernel, Gaussian)
    assert kernel.width == 2


def test_a_recipe_may_name_groups_and_widths():
    text = 'width = "bertin-early"\nkeep = {es = 1, "*" = 0.25}\nper = "language"'
    read = METHODS.convert(msgspec.toml.decode(text), "gaussian")
    assert (read.shares, read.width) == ({"es": 1.0, "*": 0.25}, 2 / 9)
    with pytest.raises(
        msgspec.ValidationError, match="width is 'early'; it must be bertin, bertin-early or a number"
    ):
        METHODS.convert({"width": "early"}, "gaussian")


OLD_KEYS = [
    "method", "per", "keep", "keep_documents", "factor", "width", "median", "boundaries", "percentiles",
    "keep_buckets", "seed", "format",
]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"method": "gaussian", "width": 2.0, "keep": {"es": 0.5}},
        {"method": "stepwise", "boundaries": (1.0, 2.0, 3.0), "factor": 2.0},
        {"method": "random", "keep_documents": 3, "per": "all", "seed": 5},
        {"method": "buckets", "percentiles": (10.0, 20.0), "format": "jsonl.gz"},
    ],
)
def test_a_fingerprint_names_the_options_of_all_methods(given):
    """As when one class had them all: folders that were finished then are finished still."""
    identity = sample_settings(**given).identity()
    if given["method"] == "buckets":
        assert identity.pop("decimals") == 1  # perplexities weren't rounded then
    assert list(identity) == OLD_KEYS
    defaults = {"per": "language", "seed": 0, "format": "parquet"}
    assert identity == {**dict.fromkeys(OLD_KEYS), **defaults, **given}


def test_a_width_by_name_has_the_fingerprint_of_its_number():
    assert sample_settings(width="bertin").identity()["width"] == 4.5


def test_stepwise_alone_needs_an_amount(calibration):
    with pytest.raises(BadArgument, match="stepwise needs --keep or --factor"):
        fitted_to(calibration, method="stepwise")
    median = fitted_to(calibration)["es"].quartiles[1]
    assert fitted_to(calibration)["es"].curve == Gaussian(median=median, width=2 / 9)


def test_many_files_add_up(tmp_path):
    """More than are held at once."""
    names = [f"es-{number:05d}-of-00100.jsonl.parquet" for number in range(100)]
    for number, name in enumerate(names):
        scores_file(tmp_path / name, [(number + 1.0, "es"), (500.0, "es"), (None, None)])
    files = [FileRecord(path=name, bytes=0, sha256="") for name in [*names, "rejected/es.jsonl"]]
    made_from = MadeFrom(stage="score", algorithm=1, settings={}, inputs=[])
    seen: list[tuple[int, int]] = []
    calibration = Calibration.of_scores(
        tmp_path,
        Manifest(stage="score", fingerprint="", made_from=made_from, files=files),
        lambda done, total: seen.append((done, total)),
    )
    assert calibration.groups == {("es", "es"): LogHistogram.of([*range(1, 101), *[500.0] * 100])}
    assert seen[-1] == (100, 100)
