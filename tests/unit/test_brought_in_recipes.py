"""Tokenizers that recipes bring: those of the demos, and those of the Hub, copied into the run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from corpora import manifest
from corpora.encoding import load_encoder
from corpora.errors import BadArgument, StaleOutput, TamizError
from tamiz.recipes.load import DEMO
from tamiz.stages import Context
from tamiz.stages.brought import brought_stage, check, is_of_hub, located
from tamiz.verify import verify
from tests.command import tamiz
from tests.encoders import ODD, flat, of_record

NAME, COMMIT = "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the Hub, without a network."""
    home = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home))
    return home


def cached(cache: Path, commit: str = COMMIT) -> Path:
    """Puts the demo's files into the cache as the main revision of the repository; returns their folder."""
    repository = cache / f"models--{NAME.replace('/', '--')}"
    shutil.copytree(DEMO / "gpt2", repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    return repository / "snapshots" / commit


def test_the_demo_s_tokenizer_is_one_of_gpt_2_s_kind():
    gpt2 = load_encoder(located("demo:gpt2", Path("unused")))
    assert (gpt2.vocab_size, gpt2.eos_id, gpt2.engine) == (1500, 1499, "word cache")
    assert flat(gpt2, ODD) == of_record(gpt2, ODD)
    assert gpt2.decode(flat(gpt2, ["¿Dónde está la niña?"])[0]) == "¿Dónde está la niña?"


def test_one_of_the_hub_is_copied_into_the_run(cache, tmp_path):
    source, out = cached(cache), tmp_path / "out"
    check(NAME, out)
    assert not out.exists()
    report = brought_stage(NAME, out, Context())
    assert (report.state, str(report.folder)) == ("new", str(out))
    assert load_encoder(located(NAME, out)).sha256 == load_encoder(str(source)).sha256
    assert manifest.read(out).facts["sha256"] == load_encoder(str(source)).sha256
    assert verify(out)[1] == []
    shutil.rmtree(cache)  # what is finished needs no Hub
    check(NAME, out)
    assert brought_stage(NAME, out, Context()).state == "finished"


def test_another_name_is_another_tokenizer(cache, tmp_path):
    cached(cache)
    brought_stage(NAME, tmp_path / "out", Context())
    with pytest.raises(StaleOutput):
        brought_stage(f"{NAME}@{COMMIT}", tmp_path / "out", Context())
    assert brought_stage(f"{NAME}@{COMMIT}", tmp_path / "out", Context(rebuild=True)).state == "new"


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"a b\n")


def recipe(home: Path, file: object) -> Path:
    """A recipe of one document that brings a tokenizer."""
    (home / "a.jsonl").write_text('{"text": "hola"}\n')
    path = home / "mine.toml"
    path.write_text(
        f'[documents]\nlanguage = "es"\ninput = "{home}/a.jsonl"\n[tokenizer]\nfile = "{file}"\n'
        '[shards]\nobjective = "causal"\nsequence_length = 8\n'
    )
    return path


@pytest.mark.parametrize("spoil", [damage, Path.unlink])
def test_a_damaged_copy_is_fetched_again_by_a_rebuild(cache, tmp_path, capsys, spoil):
    """Also of a whole run, which looks at it before any work."""
    cached(cache)
    run = ("run", recipe(tmp_path, NAME), "--out", tmp_path / "out", "--until", "tokenizer")
    code, _, error = tamiz(capsys, *run)
    assert code == 0, error
    copied = tmp_path / "out/tokenizer/merges.txt"
    spoil(copied)
    code, _, error = tamiz(capsys, *run)
    assert code == 1
    assert "merges.txt" in error
    assert f"--rebuild fetches the tokenizer {NAME} again" in " ".join(error.split())
    code, said, error = tamiz(capsys, *run, "--rebuild")
    assert (code, copied.read_bytes()) == (0, (DEMO / "gpt2/merges.txt").read_bytes()), error
    assert "redone: " in said
    assert tamiz(capsys, *run)[0] == 0


def test_a_damaged_tokenizer_elsewhere_is_refused_in_spite_of_a_rebuild(tmp_path, capsys, cache):
    """It isn't the run's own to make again."""
    cached(cache)
    brought_stage(NAME, tmp_path / "mine", Context())
    damage(tmp_path / "mine/merges.txt")
    code, _, error = tamiz(capsys, "run", recipe(tmp_path, tmp_path / "mine"), "--out", tmp_path / "out", "--rebuild")
    assert (code, "merges.txt" in error) == (1, True), error
    assert not (tmp_path / "out").exists()


def test_names_of_the_hub_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_of_hub("runs/tokenizer")
    (tmp_path / "runs" / "tokenizer").mkdir(parents=True)
    assert not is_of_hub("runs/tokenizer")
    assert [is_of_hub(name) for name in ("byt5", "demo:gpt2", "a/b.json", "a/b.model", "/a/b", "a/b/c")] == [
        False
    ] * 6
    with pytest.raises(BadArgument, match="has no tokenizer"):
        check("runs/tokenizer", tmp_path / "out")


@pytest.mark.usefixtures("cache")
def test_the_hub_out_of_reach_is_told_with_what_to_do(tmp_path):
    with pytest.raises(TamizError) as told:
        check(f"{NAME}@main", tmp_path / "out")
    assert "hf download openai-community/gpt2 --local-dir gpt2`; then give --set tokenizer.file=gpt2" in str(
        told.value
    )
    assert not (tmp_path / "out").exists()
