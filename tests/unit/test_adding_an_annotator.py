"""An outsider's annotator: one module beside tamiz, run by `annotate`, joined by `tamiz sample --annotations`."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora import manifest
from tests.conftest import digests
from tests.make_scores import Scored, write_scored
from tests.outsider import copy_toy, python, tamiz

TEXTS = ["uno dos tres cuatro", "uno", "123 456 789", "uno dos tres", "uno dos", "uno dos tres cuatro cinco"]
ANNOTATE = """
import sys
from pathlib import Path
from corpora.annotations.annotator import ANNOTATORS
from pipelines.annotate import annotate
from pipelines.settings import RunnerSettings

annotator = ANNOTATORS.convert({"annotator": "wordcount", "least": 4})
for workers in (1, 2):
    annotate(["in/*"], annotator, Path(f"words{workers}"), RunnerSettings(workers=workers), item_bytes=2_000)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Twenty times TEXTS in three files, cut into items of some 2,000 bytes, their scores, and their annotations
    made with one worker and with two."""
    folder = tmp_path_factory.mktemp("outsider")
    copy_toy("annotator", folder)
    files = {
        f"f{n}.jsonl": [
            Scored(f"{text} {k}", f"https://a.invalid/{n}/{k}", 100.0 + k) for k, text in enumerate(TEXTS * 20)
        ]
        for n in range(3)
    }
    write_scored(folder, files, item_bytes=2_000)
    done = python(folder, "-c", ANNOTATE, extensions="annotator")
    assert done.returncode == 0, done.stderr
    return folder


def test_it_annotates_with_any_number_of_workers(home):
    assert digests(home / "words1") == digests(home / "words2")
    content = manifest.read(home / "words1")
    assert len(content.items) > 6
    assert content.stage == "wordcount"
    assert content.made_from.settings == {"annotator": "wordcount", "least": 4, "item_bytes": 2_000}
    assert content.counts == {"read": 360, "kept": 300, "sampled_out": 0, "rejected": {"no letter": 60}}
    assert tamiz(home, "verify", "words1", extensions="annotator").returncode == 0
    first = pq.read_table(home / "words1" / "f0.jsonl.item0000.parquet").slice(0, 6).to_pylist()
    assert first == [
        {"row": 0, "words": 5, "keep": True},
        {"row": 1, "words": 2, "keep": False},
        {"row": 2, "words": None, "keep": None},
        {"row": 3, "words": 4, "keep": True},
        {"row": 4, "words": 3, "keep": False},
        {"row": 5, "words": 6, "keep": True},
    ]


def test_sample_joins_its_columns(home):
    given = ("--input", "in/*", "--scores", "scores", "--annotations", "words1", "--method", "random", "--keep", 1)
    for workers in (1, 2):
        out = f"sampled{workers}"
        done = tamiz(home, "sample", *given, "--workers", workers, "--out", out, extensions="annotator")
        assert done.returncode == 0, done.stderr
    assert digests(home / "sampled1") == digests(home / "sampled2")
    rows = pq.read_table(sorted((home / "sampled1").glob("part-*.parquet"))).to_pylist()
    assert len(rows) == 240  # null keeps
    assert {row["words"] for row in rows} == {4, 5, 6, None}
    facts = manifest.read(home / "sampled1").facts
    assert [(a["annotator"], a["dropped"]) for a in facts["annotations"]] == [("wordcount", 120)]
    assert tamiz(home, "verify", "sampled1", extensions="annotator").returncode == 0
