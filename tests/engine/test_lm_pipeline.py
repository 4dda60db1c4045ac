"""`tamiz lm train` through a pipeline: the same bytes as in one process, whatever the items, and after a kill."""

from __future__ import annotations

import contextvars
import json
from pathlib import Path
from typing import Any

import pytest

from corpora import lm_json
from corpora.errors import BadArgument, ShareDone, StaleOutput, TamizError
from corpora.locks import locked
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from pipelines import lm as pipeline
from pipelines.settings import RunnerSettings
from tamiz.stages import lm as stage
from tamiz.stages import lm_training
from tamiz.stages.common import Context
from tests.invented import document

TEXTS = [document(n) for n in range(240)]
ODD = ["日本語 の 文 日", "a\r\nb\tc\0d", "", " \n\n ", "Año — 12 %", "語 xyz語", "\u0301\n\u200b"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("documents")
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in (*TEXTS[:120], *ODD, *TEXTS[120:], *ODD)]
    (folder / "a.jsonl").write_text("\n".join([*rows[:90], "no JSON", *rows[90:]]) + "\n")
    (folder / "b.txt").write_text("\n".join(TEXTS[:20]) + "\n\nfin\n")
    return str(folder / "*.*")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("lm") / "lm.bin"
    train_lm(TEXTS, out, settings=LmSettings(order=2, train_tokenizer=90))
    return str(lm_json.tokenizer_path(out))


def made(source: str, out: Path, settings: LmSettings, share: float = 1.0, workers: int = 1) -> dict[str, bytes]:
    """The content of all files of the model, by name; of LM.json what must be equal."""
    context = Context(RunnerSettings(workers=workers), max_rejected=1.0)
    stage.lm_stage([source], out, settings, context, share)
    files = {p.relative_to(out.parent).as_posix(): p.read_bytes() for p in out.parent.rglob("*") if p.is_file()}
    return {name: data for name, data in files.items() if not name.startswith(".tamiz")}


SETTINGS: dict[str, dict[str, Any]] = {
    "words": {"words": True, "order": 3, "skip_symbols": True},
    "lines": {"train_tokenizer": 90, "order": 3, "prune": (0, 1)},
    "ccnet": {"mode": "ccnet", "tokenizer": "given", "order": 4},
}


@pytest.mark.parametrize(("kind", "share"), [("words", 1.0), ("lines", 1.0), ("ccnet", 1.0), ("lines", 0.6)])
def test_a_pipeline_gives_the_bytes_of_one_process(
    source: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, share: float
) -> None:
    monkeypatch.setattr("corpora.perplexity.lm_tokenizer.SAMPLE_BYTES", 20_000)
    monkeypatch.setattr(stage, "ITEM_BYTES", 9_000)
    settings = LmSettings(**{k: tokenizer if v == "given" else v for k, v in SETTINGS[kind].items()})
    expected = made(source, tmp_path / "here" / "lm.bin", settings, share)
    monkeypatch.setattr(lm_training, "SMALL_INPUT", -1)
    assert made(source, tmp_path / "by-pipeline" / "lm.bin", settings, share, workers=2) == expected
    assert sum(name.startswith("lm.rejected/") for name in expected) > 1


def test_shares_number_the_sentences_and_the_last_one_estimates(
    source: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ITEM_BYTES", 9_000)
    settings = LmSettings(tokenizer=tokenizer, order=3)
    expected = made(source, tmp_path / "here" / "lm.bin", settings)
    out = tmp_path / "shared" / "lm.bin"
    first, last = (Context(RunnerSettings(share=(i, 2)), max_rejected=1.0) for i in (1, 2))
    with pytest.raises(ShareDone, match=r"share 1/2 is done; \d+ of \d+ units have no result yet"):
        stage.lm_stage([source], out, settings, first)
    assert not out.exists()
    brought = tmp_path / "brought" / "lm.bin"
    brought.parent.mkdir()
    brought.write_bytes(b"somebody's")
    with pytest.raises(StaleOutput, match=r"is there, but no lm\.json"):
        stage.lm_stage([source], brought, settings, first)
    with locked(out.parent, "lm train", out.stem, shared=True), pytest.raises(ShareDone, match="is in use by tamiz"):
        contextvars.Context().run(stage.lm_stage, [source], out, settings, last)
    stage.lm_stage([source], out, settings, first)
    assert made(source, out, settings) == expected


class Killed(BaseException):
    """What ends a process between two items."""


def test_a_killed_run_goes_on_with_its_finished_items(
    source: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ITEM_BYTES", 9_000)
    monkeypatch.setattr(lm_training, "SMALL_INPUT", -1)
    settings, out, read = LmSettings(tokenizer=tokenizer, order=2), tmp_path / "lm.bin", []
    work = pipeline.SentenceWork.__call__

    def counted(self: pipeline.SentenceWork, item: Any) -> Any:
        read.append(item.name)
        return work(self, item)

    monkeypatch.setattr(pipeline.SentenceWork, "__call__", counted)
    with monkeypatch.context() as patched:
        patched.setattr(lm_training, "train_on_parts", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            made(source, out, settings)
    first = sorted(read)
    words = next((tmp_path / ".progress").rglob("part-00001.words"))
    other_order = LmSettings(tokenizer=tokenizer, order=3)
    made(source, out, other_order)
    assert sorted(read) == first
    assert not words.exists()


def test_a_reserved_word_is_named_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_training, "SMALL_INPUT", -1)
    (tmp_path / "a.txt").write_text("uno\ndos <s> tres\n")
    with pytest.raises(TamizError, match=r"a\.txt, row 1: the text contains the word '<s>'"):
        made(str(tmp_path / "a.txt"), tmp_path / "lm" / "lm.bin", LmSettings(words=True, order=2))
    (tmp_path / "a.txt").write_text(" \n")
    for settings in (LmSettings(words=True), LmSettings(train_tokenizer=90)):
        with pytest.raises(BadArgument, match="no sentence"):
            made(str(tmp_path / "a.txt"), tmp_path / "lm" / "lm.bin", settings)
