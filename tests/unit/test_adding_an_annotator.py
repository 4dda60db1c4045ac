"""An annotator from outside: one file of its own, run by `annotate`, joined by `tamiz sample --annotations`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.annotations.annotator import ANNOTATORS
from corpora.verify import verify
from pipelines.annotate import annotate
from pipelines.settings import RunnerSettings
from tamiz.cli import main
from tests.conftest import digests
from tests.make_scores import Scored, write_scored

OUTSIDER = '''
"""Counts words; documents of few words are dropped, those without a letter are rejected."""

from typing import ClassVar

import numpy as np

from corpora.annotations.annotator import ANNOTATORS, REASON, Annotator


@ANNOTATORS.register
class WordCount(Annotator, frozen=True, kw_only=True, tag="wordcount"):
    schema: ClassVar = {"words": "int32", "keep": "bool"}

    least: int = 3

    def annotate(self, batch):
        words = np.array([len(text.split()) for text in batch.texts], np.int32)
        reasons = [None if any(c.isalpha() for c in text) else "no letter" for text in batch.texts]
        return {"words": words, "keep": words >= self.least, REASON: reasons}
'''

TEXTS = ["uno dos tres cuatro", "uno", "123 456 789", "uno dos tres", "uno dos", "uno dos tres cuatro cinco"]


@pytest.fixture
def outsider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "outsider.py").write_text(OUTSIDER)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("outsider")
    yield
    ANNOTATORS.unregister("wordcount")
    del sys.modules["outsider"]


@pytest.fixture
def scored(tmp_path: Path) -> tuple[list[str], Path]:
    """Twenty times TEXTS in three files, cut into items of some 500 bytes, with their scores."""
    files = {
        f"f{n}.jsonl": [
            Scored(f"{text} {k}", f"https://a.invalid/{n}/{k}", 100.0 + k) for k, text in enumerate(TEXTS * 20)
        ]
        for n in range(3)
    }
    return write_scored(tmp_path, files, item_bytes=2_000)


@pytest.mark.usefixtures("outsider")
def test_an_annotator_is_one_file(scored: tuple[list[str], Path], tmp_path: Path) -> None:
    patterns, scores = scored
    annotator = ANNOTATORS.convert({"annotator": "wordcount", "least": 4})
    for workers in (1, 2):
        outcome = annotate(
            patterns, annotator, tmp_path / f"words{workers}", RunnerSettings(workers=workers), item_bytes=2_000
        )
    assert digests(tmp_path / "words1") == digests(tmp_path / "words2")
    assert len(outcome.manifest.items) > 6
    assert outcome.manifest.stage == "wordcount"
    assert outcome.manifest.made_from.settings == {"annotator": "wordcount", "least": 4, "item_bytes": 2_000}
    assert outcome.manifest.counts == {
        "read": 360, "kept": 300, "sampled_out": 0, "rejected": {"no letter": 60}
    }  # fmt: skip
    assert verify(tmp_path / "words1")[1] == []
    first = pq.read_table(tmp_path / "words1" / "f0.jsonl.item0000.parquet").slice(0, 6).to_pylist()
    assert first == [
        {"row": 0, "words": 5, "keep": True},
        {"row": 1, "words": 2, "keep": False},
        {"row": 2, "words": None, "keep": None},
        {"row": 3, "words": 4, "keep": True},
        {"row": 4, "words": 3, "keep": False},
        {"row": 5, "words": 6, "keep": True},
    ]
    for workers in (1, 2):
        arguments = ["--input", *patterns, "--scores", str(scores), "--annotations", str(tmp_path / "words1")]
        out = tmp_path / f"sampled{workers}"
        with pytest.raises(SystemExit) as stopped:
            main(
                [
                    "sample",
                    *arguments,
                    "--method",
                    "random",
                    "--keep",
                    "1",
                    "--out",
                    str(out),
                    "--workers",
                    str(workers),
                ]
            )
        assert stopped.value.code == 0
    assert digests(tmp_path / "sampled1") == digests(tmp_path / "sampled2")
    rows = pq.read_table(sorted((tmp_path / "sampled1").glob("part-*.parquet"))).to_pylist()
    assert len(rows) == 240  # null keeps
    assert {row["words"] for row in rows} == {4, 5, 6, None}
    facts = manifest.read(tmp_path / "sampled1").facts
    assert [(a["annotator"], a["dropped"]) for a in facts["annotations"]] == [("wordcount", 120)]
    assert verify(tmp_path / "sampled1")[1] == []
