"""Scores of documents that are read as texts alone are those of documents that are read with all they have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.formats.jsonl import JsonLines
from corpora.documents.items import work_items
from corpora.perplexity.annotator import Perplexity
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from pipelines import ScoreWork
from tamiz.stages import Context
from tamiz.stages.lm import lm_stage
from tests.conftest import digests

ODD = [
    "ñandú", " ", "\u3000" * 100,
    "\u00a0\u2003", "\t\n \n", "...", "\u200b", "a\u0301 e\u0301", "Σ ΑΣ", "한국어 문장", "🙂🙃 emoji",
    "nul \0 dentro", "\\u0041 \"comillas\"", "x" * 5000, "palabra " * 3000 + "\n" + "otra línea\n" * 2000,
]  # fmt: skip
LINES = [
    b"", b"   ", b"not json", b'{"text": null}', b'{"text": 3}', b'{"text": ""}', b'{"url": "u"}', b"[1]",
    b'\xef\xbb\xbf{"text": "con marca"}', b'{"text": "\\ud800"}', b'{"text": "mal \xff"}', b'{"text": "dos"} {}',
    b'{"a": {"text": "dentro"}, "text": "fuera", "n": [1, {"text": "otra"}]}', b'{"text": "1", "text": "dos veces"}',
]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, texts) -> list[str]:
    folder = tmp_path_factory.mktemp("documents")
    documents = [*texts[:150], *ODD, *texts[150:300]]
    rows = [
        json.dumps({"text": text, "url": f"u/{n}"}, ensure_ascii=n % 2 == 0).encode()
        for n, text in enumerate(documents)
    ]
    (folder / "a.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    mixed = [line for pair in zip(rows, LINES * 30, strict=False) for line in pair]
    (folder / "b.json.gz").write_bytes(gzip.compress(b"\n".join(mixed)))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b"\n".join(rows))[:-400])  # damaged
    (folder / "d.txt").write_text("\n".join(text.replace("\n", " ") for text in documents) + "\n")
    pq.write_table(pa.table({"text": [*documents, None]}), folder / "e.parquet")
    (folder / "f.jsonl").write_bytes(b"")
    return [str(folder / "*")]


@pytest.fixture(scope="module")
def ccnet(tmp_path_factory, inputs) -> Path:
    out = tmp_path_factory.mktemp("ccnet") / "es.bin"
    lm_stage(
        [f"{Path(inputs[0]).parent}/a.jsonl"], out, LmSettings(order=2, mode="ccnet", train_tokenizer=500), Context()
    )
    return out


@pytest.mark.parametrize("mode", ["lines", "ccnet"])
@pytest.mark.parametrize("item_bytes", [1 << 30, 20_000])
def test_scores_of_texts_are_those_of_documents(mode, item_bytes, inputs, lm, ccnet, tmp_path, monkeypatch):
    models = (LmChoice(str(ccnet if mode == "ccnet" else lm)),)
    items = work_items(inputs, item_bytes)
    asked: list[str] = []
    of_lines = JsonLines.texts
    monkeypatch.setattr(
        JsonLines, "texts", lambda self, item, size: asked.append(item.path) or of_lines(self, item, size)
    )

    def scored(name: str) -> list[object]:
        work = ScoreWork(str(tmp_path / name), "f", models)
        return [work(item) for item in items]

    fast = scored("fast")
    assert asked
    asked.clear()
    monkeypatch.setattr(Perplexity, "takes_texts", False)
    assert fast == scored("slow")
    assert not asked
    assert digests(tmp_path / "fast") == digests(tmp_path / "slow")
    counts = {reason: n for result in fast for reason, n in result.rejected.items()}
    assert len(counts) >= 7
    assert any(result.damage for result in fast)
    assert ("nothing left to score" in counts) == (mode == "ccnet")
