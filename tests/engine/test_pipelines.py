"""The Beam stages on real runners: the same bytes whatever the runner, the workers and the cut of the items."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.documents.row_numbers import located
from corpora.errors import StaleOutput
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.score import score
from pipelines.settings import RunnerSettings, ScoreSettings
from tamiz.verify import verify
from tests.conftest import digests

HERE = RunnerSettings()
SETTINGS = ScoreSettings(item_bytes=20_000)  # several items from a.jsonl
RUNNERS = {
    "two threads": RunnerSettings(workers=2),
    "two processes": RunnerSettings(beam_flags=("--direct_running_mode=multi_processing", "--direct_num_workers=2")),
    "portable": RunnerSettings(
        runner="PortableRunner", beam_flags=("--job_endpoint=embed", "--environment_type=LOOPBACK")
    ),
}


@pytest.fixture(scope="module")
def scored(corpus, lm, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scored") / "scores"
    score(corpus, lm, out, SETTINGS, HERE)
    return out


@pytest.mark.parametrize("name", RUNNERS)
def test_scores_are_the_same_on_every_runner(name, corpus, lm, scored, tmp_path):
    score(corpus, lm, tmp_path / "scores", SETTINGS, RUNNERS[name])
    assert digests(tmp_path / "scores") == digests(scored)


@pytest.mark.parametrize("name", RUNNERS)
def test_samples_are_the_same_on_every_runner(name, corpus, scored, tmp_path):
    settings = sample_settings(keep=0.4, width=2 / 9)
    sample(corpus, scored, tmp_path / "one", settings, HERE)
    sample(corpus, scored, tmp_path / "other", settings, RUNNERS[name])
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_scores_stand_in_input_order_and_equal_the_model(corpus, lm, scored):
    from corpora.documents.items import work_items
    from corpora.documents.reading import read_batches
    from corpora.perplexity.model import PerplexityModel

    model = PerplexityModel(lm)
    items = work_items(corpus, SETTINGS.item_bytes)
    assert len(items) > 4
    for item in items:
        texts = [text for batch in read_batches(item) for text in batch.texts]
        table = pq.read_table(scored / f"{item.name}.parquet")
        first = located(item).first
        assert table.column("row").to_pylist() == list(range(first, first + len(texts)))
        perplexity, num_tokens = model.score_with_lengths(texts)
        assert table.column("perplexity").to_pylist() == perplexity.tolist()
        assert table.column("num_tokens").to_pylist() == num_tokens.tolist()


def test_a_sample_holds_what_its_scores_say(corpus, scored, tmp_path):
    out = tmp_path / "sampled"
    outcome = sample(corpus, scored, out, sample_settings(keep=0.5, width=2 / 9), HERE)
    facts, counts = outcome.manifest.facts, outcome.manifest.counts
    assert abs(facts["expected_share"] / 0.5 - 1) < 1e-4
    assert counts["read"] == counts["kept"] + counts["sampled_out"]
    table = pq.read_table(sorted(out.glob("part-*.parquet")))
    assert table.num_rows == counts["kept"]
    known = {p for f in scored.glob("*.parquet") for p in pq.read_table(f).column("perplexity").to_pylist()}
    assert set(table.column("perplexity").to_pylist()) <= known
    assert verify(out)[1] == []


def test_datasets_reads_a_sample(corpus, scored, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    out = tmp_path / "sampled"
    kept = sample(corpus, scored, out, sample_settings(keep=0.3), HERE).manifest.counts["kept"]
    read = datasets.load_dataset(
        "parquet", data_files=str(out / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert read.num_rows == kept
    assert read.column_names == ["text", "timestamp", "url", "perplexity", "keep_probability"]


def test_finished_items_are_not_done_again(corpus, lm, tmp_path):
    """An engine replays stages: an item answers from its own verified output, and redoes a damaged one."""
    from corpora.documents.items import work_items
    from corpora.perplexity.routing import LmChoice
    from pipelines.once import once
    from pipelines.score import ScoreWork

    work = ScoreWork(out=str(tmp_path), fingerprint="f", models=(LmChoice(str(lm)),))
    item = work_items(corpus, SETTINGS.item_bytes)[0]
    first = once(work, item)
    path = tmp_path / f"{item.name}.parquet"
    written = path.stat().st_mtime_ns
    assert once(work, item) == first
    assert path.stat().st_mtime_ns == written
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert once(work, item) == first
    assert path.read_bytes() == whole


def test_a_sample_of_changed_documents_is_refused(lm, demo, tmp_path):
    path = tmp_path / "in.jsonl"
    lines = (demo / "documents.jsonl").read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]))
    score([str(path)], lm, tmp_path / "scores", SETTINGS, HERE)
    path.write_bytes(b"".join(lines[1:21]))
    with pytest.raises(StaleOutput, match=r"was made from another in\.jsonl"):
        sample([str(path)], tmp_path / "scores", tmp_path / "sampled", sample_settings(), HERE)


def test_another_setting_is_refused_by_name(corpus, lm, scored):
    with pytest.raises(StaleOutput, match="item_bytes: 20000 -> 1000"):
        score(corpus, lm, scored, ScoreSettings(item_bytes=1000), HERE)
    content = manifest.read(scored)
    assert msgspec.to_builtins(content.made_from.settings)["item_bytes"] == 20_000
