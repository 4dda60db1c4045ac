"""A stage from outside is one file: its section, its place, its folder and its check come with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from corpora import manifest
from corpora.errors import BadArgument
from tamiz.stages import STAGES, Section, Stage, ordered
from tamiz.stages.tokenizer import TokenizerSource
from tests import outsider
from tests.conftest import digests

RECIPE = """
[documents]
input = "demo:clean.jsonl"
[words]
word = "agua"
[tokenizer]
kind = "bytes"
vocab_size = 263
extra_ids = 4
lowercase = false
[shards]
sequence_length = 64
mean_noise_span_length = 20.0
"""


def tamiz(home, *arguments, extensions="stage"):
    return outsider.tamiz(home, *arguments, extensions=extensions)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    outsider.copy_toy("stage", folder)
    (folder / "my.toml").write_text(RECIPE)
    return folder


@pytest.mark.slow
def test_a_recipe_runs_it_between_the_built_in_stages(home):
    """Also: documents -> tokenizer -> shards without a language model, scores and a sample."""
    done = tamiz(home, "run", "my.toml", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
        "[1/3] words",
        "[2/3] tokenizer",
        "[3/3] shards",
    ]
    kept = home / "out" / "words" / "kept" / "clean.jsonl.jsonl"
    texts = [json.loads(line)["text"] for line in kept.read_text().splitlines()]
    assert texts
    assert all("agua" in text for text in texts)
    shards = json.loads((home / "out" / "shards" / "manifest.json").read_bytes())
    assert shards["counts"]["read"] == len(texts)  # later stages read what it left
    again = tamiz(home, "run", "my.toml", "--out", "out", "--until", "words")
    assert (again.returncode, again.stdout.count("nothing to do")) == (0, 1)
    other = tamiz(home, "run", "my.toml", "--out", "out", "--until", "words", "--set", "words.word=sal")
    assert other.returncode == 1
    assert '(word: "agua" -> "sal")' in other.stderr
    assert tamiz(home, "verify", "out").returncode == 0
    content = manifest.read(home / "out" / "words")
    content.files = [structs.replace(r, rows=r.rows and 10 + r.rows) for r in content.files]
    manifest.write(home / "out" / "words", content)
    told = tamiz(home, "verify", "out")
    assert told.returncode == 1
    assert "kept/* have" in told.stderr


@pytest.mark.slow
def test_rows_are_accounted_for_whatever_the_workers(home):
    lines = [json.dumps({"text": text}) for text in ("agua", "sal", "más agua", "")]
    for name in ("a", "b"):
        (home / f"{name}.jsonl").write_text("\n".join([*lines, "{"]))
    told = ("run", "my.toml", "--until", "words", "--set", 'documents.input="[ab].jsonl"')
    for workers in (1, 2):
        done = tamiz(home, *told, "--workers", workers, "--out", f"workers{workers}")
        assert done.returncode == 0, done.stderr
    first = home / "workers1" / "words"
    assert digests(first) == digests(home / "workers2" / "words")
    assert json.loads((first / "manifest.json").read_bytes())["counts"] == {
        "read": 10, "kept": 4, "sampled_out": 2, "rejected": {"not JSON": 2, "text empty": 2}
    }  # fmt: skip
    assert tamiz(home, "verify", first).returncode == 0


def test_help_recipes_and_mistakes_know_it(home):
    done = tamiz(home, "run", "--help")
    assert "score, sample, words, tokenizer" in " ".join(done.stdout.split())
    shown = tamiz(home, "recipes", "show", "my.toml")
    assert '[words]\nword = "agua"' in shown.stdout
    assert [line.split()[1] for line in shown.stdout.split("# stages\n")[1].splitlines()] == [
        "words",
        "tokenizer",
        "shards",
    ]
    assert "# words      documents that contain a word" in shown.stdout
    wrong = tamiz(home, "run", "my.toml", "--set", "words.wrod=x")
    assert (wrong.returncode, wrong.stderr) == (2, "error: my: words.wrod: no such key, did you mean words.word?\n")
    unknown = tamiz(home, "run", "my.toml", extensions="")
    assert unknown.returncode == 2
    assert "words: no such key or section" in unknown.stderr
    until = tamiz(home, "run", "my.toml", "--until", "score", "--out", "never")
    assert (until.returncode, until.stderr) == (
        2,
        "error: --until score: the stages of my are words, tokenizer, shards\n",
    )
    assert not (home / "never").exists()


def stage(name: str, after: str | None) -> Stage:
    return Stage(
        name=name, folder=name, title=name, help="", sections=(Section(name, TokenizerSource),), after=after,
        run=lambda *_: pytest.fail("not run"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([("language-id", "nothing")], "the stage language-id runs after 'nothing', which is not a stage"),
        ([("one", "two"), ("two", "one")], "one, two run after each other"),
    ],
)
def test_a_place_that_cannot_be_is_refused(stages, message):
    for name, after in stages:
        STAGES.register(stage(name, after))
    try:
        with pytest.raises(BadArgument, match=message):
            ordered()
    finally:
        for name, _ in stages:
            STAGES.unregister(name)


def test_followers_of_followers_and_stages_without_a_place():
    for name, after in (("second", "first"), ("first", "lm"), ("last", None)):
        STAGES.register(stage(name, after))
    try:
        assert [s.name for s in ordered()] == [
            "lm", "first", "second", "score", "sample", "tokenizer", "shards", "train", "export", "last",
        ]  # fmt: skip
        with pytest.raises(BadArgument, match="stage 'lm' exists already"):
            STAGES.register(stage("lm", None))
    finally:
        for name in ("second", "first", "last"):
            STAGES.unregister(name)
