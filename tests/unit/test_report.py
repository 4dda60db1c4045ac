"""What `tamiz report` tells: documents nearest the deciles, counts and lengths, against the files themselves."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.sampling.histogram import LogHistogram
from tamiz.excerpts import READ_CHARACTERS, SHOWN_CHARACTERS, shown
from tamiz.report.documents import outcome_of
from tamiz.report.folders import find
from tamiz.report.nearest import DECILES, DOCUMENTS, Pick, deciles, fill
from tamiz.report.rows import ItemRows, _kept, item_rows
from tamiz.report.summary import summarise
from tamiz.report.texts import read_back
from tests.make_scores import Scored, documents, sampled, scored_corpus, write_scored


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[Path, list[str]]:
    return scored_corpus(tmp_path_factory.mktemp("corpus"))


def brute_force(folder: Path, language: str, percent: int, value: float) -> list[tuple[str, int]]:
    """All documents of a language sorted by distance, name and row; the first ten."""
    ranked = []
    for path in sorted((folder / "scores").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["language"] == language:
                pp = row["perplexity"]
                distance = pp if percent == 0 else -pp if percent == 100 else abs(pp - value)
                ranked.append((distance, path.name.partition(".jsonl")[0] + ".jsonl", row["row"]))
    return [(name, row) for _, name, row in sorted(ranked)[:DOCUMENTS]]


@pytest.mark.parametrize("language", ["es", "pt"])
def test_the_documents_of_each_decile_are_the_nearest(corpus, language):
    folder, _ = corpus
    scored = find(folder / "scores")
    assert any(".item" in item for item in scored.items)
    histogram = summarise(item_rows(scored)).language(language).before.perplexity
    found = deciles(language, histogram)
    fill(found, item_rows(scored))
    every = np.concatenate([p.perplexities[p.language == p.languages.index(language)]
                            for p in item_rows(scored) if language in p.languages])  # fmt: skip
    for decile in found:
        if 0 < decile.percent < 100:
            assert decile.perplexity == pytest.approx(np.quantile(every, decile.percent / 100), rel=1e-3)
        picked = [(pick.name, pick.row) for pick in decile.picks]
        assert picked == brute_force(folder, language, decile.percent, decile.perplexity), decile.percent
    assert [d.percent for d in found] == list(DECILES)


def test_equally_near_documents_come_by_name_and_row(tmp_path):
    rows = [Scored("x " * (n + 1), None, 7.0 if n % 2 else 8.0) for n in range(100)]
    _, scores = write_scored(tmp_path, {"b.jsonl": rows, "a.jsonl": rows[:12]}, item_bytes=2_000)
    scored = find(scores)
    lowest, *_, highest = wanted = deciles("", LogHistogram.of([7.0]))
    fill(wanted, item_rows(scored))
    assert [(p.name, p.row) for p in lowest.picks] == [
        *(("a.jsonl", row) for row in range(1, 12, 2)), *(("b.jsonl", row) for row in range(1, 9, 2)),
    ]  # fmt: skip
    assert [(p.name, p.row) for p in highest.picks] == [
        *(("a.jsonl", row) for row in range(0, 12, 2)), *(("b.jsonl", row) for row in range(0, 8, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["es", "pt"])
def test_texts_read_back_are_those_that_were_scored(corpus, language):
    folder, patterns = corpus
    scored = find(folder / "sampled", inputs=patterns)
    found = deciles(language, summarise(item_rows(scored)).language(language).before.perplexity)
    fill(found, item_rows(scored))
    picks = [pick for decile in found for pick in decile.picks]
    texts = read_back(scored, picks, remote=False, progress=lambda *_: None)
    assert texts.problems == []
    lines = {p.name: p.read_text(encoding="utf-8").splitlines() for p in (folder / "in").iterdir()}
    kept = kept_probabilities(folder / "sampled")
    outcomes = set()
    for pick in picks:
        document = texts.documents[pick.item, pick.row]
        original = json.loads(lines[pick.name][pick.row])
        assert (document.text, document.url) == (original["text"], original["url"])
        outcome = outcome_of(scored, language, pick, document)
        assert outcome.kept == (document.url in kept)
        if outcome.kept:
            assert outcome.probability == kept[document.url]
        outcomes.add(outcome.kept)
    assert outcomes == {True, False}


def kept_probabilities(folder: Path) -> dict[str, float]:
    tables = [pq.read_table(path, columns=["url", "keep_probability"]) for path in folder.glob("part-*.parquet")]
    return {row["url"]: row["keep_probability"] for table in tables for row in table.to_pylist()}


def test_languages_within_a_file_are_told_apart():
    item = ItemRows(
        item="a.jsonl",
        file="a.jsonl",
        rows=np.arange(4),
        perplexities=np.array([1.0, 2.0, 3.0, 4.0]),
        lengths=np.array([10.0, 20.0, 30.0, 40.0]),
        language=np.array([0, 1, 0, 0]),
        languages=["es", "pt", "never"],
        kept=np.array([True, True, False, True]),
    )
    summary = summarise([item, item])
    assert [(g.language, g.before.documents, g.after.documents) for g in summary.groups] == [
        ("es", 6, 4),
        ("pt", 2, 2),
    ]
    assert summary.language("pt").after.length.total == 2
    assert (summary.total.before.documents, summary.total.after.documents) == (8, 6)


def test_counts_by_source_and_language_are_the_files_counts(corpus):
    folder, _ = corpus
    summary = summarise(item_rows(find(folder / "sampled")))
    content = manifest.read(folder / "sampled")
    of = {("es", "news"): "news", ("es", "wiki"): "wiki", ("pt", "livros"): "livros"}
    for group in summary.groups:
        prefix = of.pop((group.language, group.source))
        items = [i for i in content.items if i["name"].startswith(prefix)]
        assert group.before.documents == sum(i["read"] for i in items)
        assert group.after.documents == sum(i["kept"] for i in items)
        assert group.before.length.total == group.before.grid.total == group.before.documents
    assert not of
    assert summary.total.after.documents == content.counts["kept"]


def test_the_kept_lengths_are_those_of_the_kept_documents(corpus):
    folder, _ = corpus
    expected = []
    for path in sorted((folder / "sampled").glob("part-*.parquet")):
        texts = pq.read_table(path, columns=["text"]).column(0).to_pylist()
        expected += [len(t.split()) + t.count("\n") + 1 for t in texts]
    kept = np.concatenate([p.lengths[p.kept] for p in item_rows(find(folder / "sampled"))])
    # Rows that tie in perplexity can't be told apart: here they are a tenth, of different lengths.
    assert len(kept) == len(expected)
    assert abs(float(np.mean(kept)) - float(np.mean(expected))) < 3.0


def test_kept_rows_are_found_by_their_perplexities():
    perplexities = np.array([3.0, 1.0, np.nan, 3.0, 2.0, 3.0])
    mask = _kept(perplexities, np.array([3.0, 2.0, 3.0]), Path("part"))
    assert mask.tolist() == [True, False, False, True, True, False]
    assert not _kept(perplexities, np.empty(0), Path("part")).any()
    for foreign in ([4.0], [3.0, 3.0, 3.0, 3.0], [0.5], [9.0]):
        with pytest.raises(StaleOutput):
            _kept(perplexities, np.array(foreign), Path("part"))


def test_histograms_do_not_depend_on_how_the_input_was_cut(tmp_path):
    rows = documents(random.Random(3), "x", 240, 80.0)
    whole, _ = tmp_path / "whole", write_scored(tmp_path / "whole", {"x-00000-of-00001.jsonl": rows})
    parts = {f"x-0000{n}-of-00003.jsonl": rows[n * 80 : n * 80 + 80] for n in range(3)}
    write_scored(tmp_path / "cut", parts, item_bytes=5_000)
    one, three = (summarise(item_rows(find(home / "scores"))) for home in (whole, tmp_path / "cut"))
    assert [g.source for g in three.groups] == ["x"]
    assert one.total.before.perplexity == three.total.before.perplexity
    assert one.total.before.length == three.total.before.length
    assert one.total.before.grid.counts.tolist() == three.total.before.grid.counts.tolist()


def test_inputs_elsewhere_are_read_only_when_asked_for(corpus):
    folder, _ = corpus
    scored = find(folder / "scores", inputs=["memory://nowhere/*.jsonl"])
    pick = Pick(0.0, "wiki.jsonl", 0, scored.items[-1], 1.0, 1)
    for remote, told in ((False, "not a local file"), (True, "no file matches")):
        texts = read_back(scored, [pick], remote=remote, progress=lambda *_: None)
        assert texts.documents == {}
        assert len(texts.problems) == 1
        assert told in texts.problems[0]


def test_a_sample_needs_its_own_scores(corpus, tmp_path):
    folder, _ = corpus
    home = tmp_path / "far" / "sampled"
    shutil.copytree(folder / "sampled", home, ignore=shutil.ignore_patterns("report"))
    with pytest.raises(BadArgument, match="--scores"):
        find(home)
    assert find(home, folder / "scores").scored.stage == "score"
    _, foreign = write_scored(tmp_path / "other", {"a.jsonl": documents(random.Random(1), "a", 20, 9.0)})
    with pytest.raises(StaleOutput, match="was not drawn from"):
        find(home, foreign)
    shutil.copytree(folder / "scores", tmp_path / "far" / "any-name")
    assert find(home).scores.name == "any-name"
    manifest.begin(tmp_path / "far" / "a-killed-run", manifest.read(folder / "scores").made_from)
    assert find(home).scores.name == "any-name"
    with pytest.raises(DamagedFile, match="holds the output of"):
        find(foreign_stage(tmp_path / "shards"))


def foreign_stage(folder: Path) -> Path:
    manifest.begin(folder, manifest.MadeFrom(stage="shards", algorithm=1, settings={}, inputs=[]))
    return folder


def test_a_sample_of_lines_is_read_too(tmp_path):
    rows = documents(random.Random(2), "a", 60, 50.0)
    patterns, _ = write_scored(tmp_path, {"a.jsonl": rows})
    home = sampled(tmp_path, patterns, format="jsonl.gz")
    summary = summarise(item_rows(find(home)))
    assert summary.total.after.documents == manifest.read(home).counts["kept"] > 0


def test_shown_cuts_at_words_and_collapses_space():
    assert shown("uno\n\n dos\t tres") == "uno dos tres"
    assert shown("so\u00adft\ufeff \u200bhyphen") == "soft hyphen"
    assert shown("می\u200cخواهم") == "می\u200cخواهم"
    text = "palabra " * 100
    cut = shown(text)
    assert cut.endswith("palabra …")
    assert len(cut) <= SHOWN_CHARACTERS + 2
    assert shown("x" * 1000) == "x" * SHOWN_CHARACTERS + " …"
    assert shown(" " * READ_CHARACTERS + "x") == " …"


def test_a_run_without_scores_has_no_report(tmp_path):
    made_from = manifest.MadeFrom(stage="run", algorithm=1, settings={}, inputs=[])
    manifest.begin(tmp_path, made_from)
    with pytest.raises(BadArgument, match="has no scores yet"):
        find(tmp_path)
