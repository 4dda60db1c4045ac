"""Documents in another column, or separated by blank lines, score and sample as the same documents in `text` do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.sources import DocumentSource
from corpora.errors import StaleOutput
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.score import score
from pipelines.settings import RunnerSettings, ScoreSettings
from tamiz.report.folders import find
from tamiz.report.nearest import Pick
from tamiz.report.texts import read_back
from tamiz.verify import verify
from tests.command import exit_code
from tests.invented import document

HERE = RunnerSettings()
TEXTS = ["\n".join(line for line in document(n).split("\n") if line) for n in range(90)]
SAMPLE = sample_settings(method="random", keep=0.5, seed=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LmChoice:
    path = tmp_path_factory.mktemp("model") / "es.bin"
    train_lm(TEXTS[:40], path, settings=LmSettings(order=2, words=True))
    return LmChoice(str(path))


def write_json(path: Path, column: str) -> None:
    path.write_bytes(b"".join(msgspec.json.encode({column: text}) + b"\n" for text in TEXTS))


def write_parquet(path: Path, column: str) -> None:
    pq.write_table(pa.table({"text": [0] * len(TEXTS), column: TEXTS}), path, row_group_size=20)


def write_blank_lines(path: Path, _: str) -> None:
    path.write_text("\n\n".join(TEXTS))


KINDS: list[tuple[str, Callable[[Path, str], None], dict[str, object]]] = [
    ("x.jsonl", write_json, {"text_column": "body"}),
    ("x.parquet", write_parquet, {"text_column": "body"}),
    ("x.txt", write_blank_lines, {"blank_lines": True}),
    ("x", write_blank_lines, {"blank_lines": True, "format": "txt"}),
]


def scores_of(folder: Path) -> list[float]:
    return [p for path in sorted(folder.glob("*.parquet")) for p in pq.read_table(path)["perplexity"].to_pylist()]


def texts_of(folder: Path) -> list[str]:
    return [t for path in sorted(folder.glob("part-*")) for t in pq.read_table(path)["text"].to_pylist()]


@pytest.mark.parametrize(("name", "write", "reading"), KINDS)
@pytest.mark.parametrize("item_bytes", [1 << 26, 3_000])
def test_the_same_documents(
    tmp_path: Path, model: LmChoice, name: str, write: Callable[[Path, str], None], reading: dict[str, object],
    item_bytes: int,
) -> None:  # fmt: skip
    write_json(tmp_path / "plain.jsonl", "text")
    write(tmp_path / name, "body")
    source = msgspec.convert({"input": [str(tmp_path / name)], **reading}, DocumentSource)
    settings = ScoreSettings(item_bytes=item_bytes)
    kept = []
    for inputs, home in (([str(tmp_path / "plain.jsonl")], tmp_path / "a"), ([source], tmp_path / "b")):
        score(inputs, [model], home / "scores", settings, HERE)
        sample(inputs, home / "scores", home / "sampled", SAMPLE, HERE)
        kept.append((scores_of(home / "scores"), texts_of(home / "sampled")))
        assert verify(home / "scores")[1] == verify(home / "sampled")[1] == []
        assert score(inputs, [model], home / "scores", settings, HERE).state == "finished"
    assert kept[0] == kept[1]
    assert len(kept[0][0]) == 90
    assert 20 < len(kept[0][1]) < 70
    other = msgspec.convert({"input": [str(tmp_path / name)], **reading, "text_column": "text"}, DocumentSource)
    if name == "x.jsonl":
        told = r'x\.jsonl was read differently for .* \(text_column: "body" -> default\): .*--text-column'
        with pytest.raises(StaleOutput, match=told):
            sample([other], tmp_path / "b" / "scores", tmp_path / "c", SAMPLE, HERE)


def test_a_report_reads_documents_as_their_scores_did(tmp_path: Path, model: LmChoice) -> None:
    """Two sources under one pattern, each read in its own way."""
    write_blank_lines(tmp_path / "a.txt", "")
    write_json(tmp_path / "b.jsonl", "body")
    sources = [
        DocumentSource(input=f"{tmp_path}/a.txt", blank_lines=True),
        DocumentSource(input=f"{tmp_path}/b.jsonl", text_column="body"),
    ]
    score(sources, [model], tmp_path / "scores", ScoreSettings(), HERE)
    scored = find(tmp_path / "scores", inputs=[f"{tmp_path}/a.txt", f"{tmp_path}/b.jsonl"])
    rows = pq.read_table(tmp_path / "scores" / "a.txt.parquet")["row"].to_pylist()
    picks = [Pick(0.0, "a.txt", rows[7], "a.txt", 1.0, 1), Pick(0.0, "b.jsonl", 7, "b.jsonl", 1.0, 1)]
    found = read_back(scored, picks, remote=False, progress=lambda *_: None)
    assert found.problems == []
    assert [found.documents[pick.item, pick.row].text for pick in picks] == [TEXTS[7], TEXTS[7]]


def test_from_the_command_line(tmp_path: Path, model: LmChoice, capsys: pytest.CaptureFixture[str]) -> None:
    write_blank_lines(tmp_path / "wiki_00", "")
    named = ["--input", f"{tmp_path}/wiki_*", "--blank-lines", "--language", "es"]
    scores = [*named, "--format", "txt", "--lm", f"es={model.path}", f"pt={model.path}", "--out", f"{tmp_path}/s"]
    keep = [*named, "--input-format", "txt", "--scores", f"{tmp_path}/s", "--method", "random", "--keep", "0.5"]
    for arguments in (["score", *scores], ["sample", *keep, "--format", "jsonl.gz", "--out", f"{tmp_path}/d"]):
        assert exit_code(*arguments) == 0, capsys.readouterr()
    assert len(list((tmp_path / "d").glob("part-*.jsonl.gz"))) == 1
    assert set(pq.read_table(tmp_path / "s" / "wiki_00.parquet")["language"].to_pylist()) == {"es"}
    assert exit_code("score", *scores, "--language-column", "lang") == 2
    assert "has no column lang" in capsys.readouterr().err
