"""What many items leave is merged on workers; a few items give the same bytes without that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora import manifest
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from pipelines import merging
from tests.command import exit_code
from tests.invented import document

TEXTS = [document(n) for n in range(150)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files, a model and the scores."""
    home = tmp_path_factory.mktemp("merged")
    for number in range(5):
        rows = [{"text": t, "url": f"https://{n % 7}.es/{n}"} for n, t in enumerate(TEXTS[number::5])]
        (home / f"{'abcde'[number]}-es.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train_lm(TEXTS, home / "lm.bin", settings=LmSettings(order=2, words=True))
    scored = exit_code("score", "--input", home / "*.jsonl", "--lm", home / "lm.bin", "--out", home / "scores")
    assert scored == 0
    return home


def content(folder: Path) -> dict[str, bytes]:
    """All files but logs and the manifest; of that, facts and counts."""
    said = manifest.read(folder)
    files = {r.path: (folder / r.path).read_bytes() for r in said.files}
    return {**files, "said": json.dumps([said.facts, said.counts, said.items], sort_keys=True).encode()}


COMMANDS = {
    "sample": ("sample", "--scores", "scores", "--keep", 0.4, "--source-by", "host"),
    "joined": ("sample", "--scores", "scores", "--keep", 0.4, "--part-bytes", 9000),
    "words": ("tokenizer", "train", "--kind", "unigram", "--vocab-size", 100, "--extra-ids", 0, "--most-words", 90),
    "eval": ("tokenizer", "eval", "byt5", "--documents", 20, "--language", "es"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_many_items_give_what_few_give(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told = [inputs / a if a == "scores" else a for a in COMMANDS[name]]
    found = []
    for few in (64, 1):
        monkeypatch.setattr(merging, "FEW", few)
        monkeypatch.setattr("pipelines.sample.FEW", few)
        out = tmp_path / str(few)
        assert exit_code(*told, "--input", inputs / "*.jsonl", "--out", out) == 0
        found.append(content(out))
        assert not (out / manifest.PROGRESS).exists()
    assert found[0] == found[1]
