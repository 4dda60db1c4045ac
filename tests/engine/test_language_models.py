"""Recipes with a language model for each language: from documents to a sample of each, and again."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.errors import StaleOutput
from corpora.files import sha256
from corpora.perplexity.model import PerplexityModel
from tamiz.recipes.load import load
from tamiz.run import Run
from tamiz.stages import Context
from tamiz.verify import verify
from tests.command import tamiz
from tests.invented import document

TEXTS = [document(n) for n in range(160)]

RECIPE = """
name = "two"
[[documents]]
input = "{0}/a/x.jsonl"
name = "web"
language = "pt"
text_column = "metadata.text"
[[documents]]
input = "{0}/b/x.jsonl"
name = "chats"
language = "es"
turns = "messages"
[lm]
words = true
order = 2
[lm.languages.es]
input = "{0}/es-lm.jsonl"
[lm.languages.pt]
input = "{0}/pt-lm.jsonl"
order = 3
[score]
allow_unknown = true
[sample]
method = "gaussian"
keep = 0.5
[tokenizer]
file = "byt5"
[shards]
objective = "causal"
sequence_length = 128
validation_fraction = 0.1
"""


def write(path: Path, rows: list[object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. The documents of pt are in a nested field, those of es are chats of one turn."""
    folder = tmp_path_factory.mktemp("languages")
    write(folder / "es-lm.jsonl", [{"text": text} for text in TEXTS[:40]])
    write(folder / "pt-lm.jsonl", [{"text": text} for text in TEXTS[40:80]])
    write(folder / "a" / "x.jsonl", [{"metadata": {"text": text, "n": n}} for n, text in enumerate(TEXTS[80:120])])
    write(folder / "b" / "x.jsonl", [{"messages": [{"from": "x", "value": text}]} for text in TEXTS[120:]])
    (folder / "two.toml").write_text(RECIPE.format(folder))
    reports = Run(load(str(folder / "two.toml")), folder / "run", Context()).stages()
    assert [report.stage for report in reports] == ["lm", "score", "sample", "tokenizer", "shards"]
    assert reports[0].facts["documents"]["kept"] == 80
    return folder


CHATS = [f"x: {text}\n" for text in TEXTS[120:]]


def test_each_document_has_the_score_of_its_languages_model(home: Path) -> None:
    run = home / "run"
    for language, name, texts in (("pt", "web__x.jsonl", TEXTS[80:120]), ("es", "chats__x.jsonl", CHATS)):
        rows = pq.read_table(run / "scores" / f"{name}.parquet")
        assert set(rows["language"].to_pylist()) == {language}
        expected = PerplexityModel(run / "lm" / f"{language}.bin").score(texts)
        assert rows["perplexity"].to_pylist() == expected.tolist()
    assert manifest.read(run / "scores").facts["languages"] == {"es": 40, "pt": 40}


def test_each_language_is_a_group_of_the_sample(home: Path) -> None:
    facts = manifest.read(home / "run" / "sampled").facts
    assert facts["groups"].keys() == {"es", "pt"}
    medians = {name: group["kernel"]["median"] for name, group in facts["groups"].items()}
    assert medians["es"] != medians["pt"]
    kept = [
        t
        for path in sorted((home / "run" / "sampled").glob("part-*"))
        for t in pq.read_table(path)["text"].to_pylist()
    ]
    assert set(kept) <= {*CHATS, *TEXTS[80:120]}
    assert {text in CHATS for text in kept} == {True, False}


def test_the_sample_goes_on_to_shards(home: Path) -> None:
    shards, sampled = manifest.read(home / "run" / "shards"), manifest.read(home / "run" / "sampled")
    assert shards.counts["read"] == sampled.counts["kept"]
    assert verify(home / "run")[1] == []
    shown = (home / "run" / "sampled" / "README.md").read_text()
    assert "es sha256" in shown
    assert "pt sha256" in shown


def test_the_page_shows_documents_of_named_sources(home: Path) -> None:
    from tamiz.report.page import write_report

    page = Path(write_report(home / "run")).read_text()
    assert "no longer among the inputs" not in page
    assert "es.bin" in page
    assert "pt.bin" in page


def models_of(run: Path) -> dict[str, tuple[int, str]]:
    """Language -> when its model was written, and its content."""
    files = {path.stem: path for path in (run / "lm").glob("*.bin")}
    return {language: (path.stat().st_mtime_ns, sha256(path)) for language, path in files.items()}


def test_only_the_model_that_changed_is_made_again(home: Path) -> None:
    run = home / "run"
    again = Run(load(str(home / "two.toml")), run, Context()).stages("lm")
    assert again[0].state == "finished"
    changed = load(str(home / "two.toml"), overrides=["lm.languages.pt.order=2"])
    with pytest.raises(StaleOutput, match=r"lm/pt\.json was made from something else \(order: 3 -> 2"):
        Run(changed, run, Context()).stages("lm")
    old = {
        name: ((run / "lm" / f"{name}.bin").stat().st_mtime_ns, sha256(run / "lm" / f"{name}.bin"))
        for name in ("es", "pt")
    }
    redone = Run(changed, run, Context(rebuild=True)).stages("lm")
    new = {
        name: ((run / "lm" / f"{name}.bin").stat().st_mtime_ns, sha256(run / "lm" / f"{name}.bin"))
        for name in ("es", "pt")
    }
    assert (redone[0].state, new["es"]) == ("new", old["es"])
    assert new["pt"] != old["pt"]
    (run / "lm" / "es.bin").write_bytes(b"x")
    Run(changed, run, Context(rebuild=True)).stages("lm")
    last = models_of(run)
    assert (last["es"][1], last["pt"]) == (old["es"][1], new["pt"])


def test_a_file_without_a_language_is_told_before_a_model_is_trained(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [home / "two.toml", "--out", home / "other", "--set", "documents.1.language="]
    code, _, error = tamiz(capsys, "run", *given)
    assert code == 2
    assert "none of es, pt occurs in its path" in error
    assert "documents.language" in error
    assert not (home / "other" / "lm").exists()


def test_models_for_nothing_and_one_model_for_all_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--set", f"lm.languages.gl.input={home}/es-lm.jsonl", "--until", "score"]
    _, _, error = tamiz(capsys, "run", home / "two.toml", "--out", home / "three", *more)
    assert "no document is of language gl" in error
    one = ["--set", f"lm.input={home}/es-lm.jsonl", "--until", "score"]
    _, _, error = tamiz(capsys, "run", home / "two.toml", "--out", home / "one", *one)
    assert "one language model scores documents in es and pt" in error


def test_a_chat_becomes_shards_and_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat = [{"role": "user", "content": "¿Qué es {x}?"}, {"role": "assistant", "content": "Una\nllave."}]
    write(tmp_path / "chat.jsonl", [{"system": "Sé breve.", "messages": chat}] * 3 + [{"messages": []}, {"x": 1}])
    made = [
        "--input", tmp_path / "chat.jsonl", "--turns", "messages", "--template", r"{system}\n\n{messages}",
        "--turn", r"<{role}> {content}\n", "--tokenizer", "byt5", "--objective", "causal",
        "--sequence-length", "64", "--validation-fraction", "0", "--max-rejected", "0.4",
    ]  # fmt: skip
    out = tmp_path / "shards"
    assert tamiz(capsys, "shards", "build", *made, "--out", out)[0] == 0
    assert manifest.read(out).counts["rejected"] == {"no text": 2}
    code, shown, _ = tamiz(capsys, "shards", "inspect", out, "--row", "0")
    assert code == 0
    assert "Sé breve.↵" in shown
    assert "<user> ¿Qué es {x}?↵" in shown
    (reading,) = [identity.reading for identity in manifest.read(out).made_from.inputs]
    assert reading == {
        "template": "{system}\n\n{messages}", "turns": "messages", "turn": "<{role}> {content}\n",
    }  # fmt: skip
    assert tamiz(capsys, "shards", "build", *made, "--out", out)[0] == 0
    code, _, error = tamiz(capsys, "shards", "build", *made[:-2], "--turn", "{content}", "--out", out)
    assert (code, "turn" in error) == (1, True)
