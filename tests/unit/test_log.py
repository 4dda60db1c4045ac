"""The log of a run: what it records, where, and what it must never hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.verify import verify
from tamiz import cli
from tamiz.console import progress, warn
from tamiz.log import log, without_secrets
from tamiz.trainer.ranks import SaidElsewhere
from tests.command import exit_code, tamiz

SECRET = "hf_aBcDeFgHiJkLmNoP"


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def corpus(folder: Path) -> str:
    path = folder / "in.jsonl"
    lines = [json.dumps({"text": f"la receta secreta número {n}\nagua"}) for n in range(40)]
    path.write_text("\n".join([*lines, "no JSON"]))
    return str(path)


def tokenizer(folder: Path, *more: str) -> int:
    kind = ("--kind", "bpe", "--vocab-size", "295", "--sample", "100", "--max-rejected", "0.5")
    return exit_code("tokenizer", "train", "--input", corpus(folder), *kind, "--out", str(folder / "out"), *more)


def test_a_command_appends_what_it_did(tmp_path):
    path = tmp_path / "out" / "log.jsonl"
    assert tokenizer(tmp_path, f"--hf_token={SECRET}") == 2  # Beam knows no such flag
    assert not path.parent.exists()
    assert tokenizer(tmp_path) == 0
    first = events(path)
    assert [event["event"] for event in first] == ["start", "finished", "end"]
    start, finished, end = first
    assert start["arguments"][:2] == ["tokenizer", "train"]
    assert {"tamiz", "numpy", "apache-beam"} <= start["versions"].keys()
    assert start["machine"]["cores"] >= 1
    assert start["machine"]["memory_bytes"] > 1 << 28
    assert (finished["stage"], finished["state"]) == ("tokenizer", "new")
    assert finished["counts"] == {"read": 41, "kept": 40, "sampled_out": 0, "rejected": {"not JSON": 1}}
    assert 0 <= finished["seconds"] <= end["seconds"]
    assert end["exit_code"] == 0
    assert "secreta" not in path.read_text()

    assert tokenizer(tmp_path) == 0
    assert tokenizer(tmp_path, "--extra-ids", "1", "--vocab-size", "296") == 1  # made from something else
    assert tokenizer(tmp_path, "--extra-ids", "1", "--vocab-size", "296", "--rebuild") == 0
    later = events(path)
    assert later[:3] == first
    assert [event["exit_code"] for event in later if event["event"] == "end"] == [0, 0, 1, 0]
    refused = next(event for event in later if event["event"] == "error")
    assert refused["class"] == "StaleOutput"
    assert "extra_ids: 0 -> 1" in refused["message"]
    assert "traceback" not in refused
    assert verify(tmp_path / "out")[1] == []
    assert "log.jsonl" not in (tmp_path / "out" / "manifest.json").read_text()


def test_an_unexpected_error_says_where(tmp_path, monkeypatch, capsys):
    from tamiz.stages import tokenizer as stage

    assert tokenizer(tmp_path) == 0
    monkeypatch.setattr(stage, "count", lambda _: 1 // 0)
    assert tokenizer(tmp_path) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    error = events(tmp_path / "out" / "log.jsonl")[-2]
    assert (error["event"], error["class"]) == ("error", "ZeroDivisionError")
    assert any("stages/tokenizer.py" in line for line in error["traceback"])


def test_a_language_model_has_its_log_beside_it(tmp_path):
    out = tmp_path / "lm" / "es.bin"
    arguments = ("lm", "train", "--input", corpus(tmp_path), "--words", "--order", "2", "--out", str(out))
    assert exit_code(*arguments, "--max-rejected", "0.5") == 0
    assert [event["event"] for event in events(out.with_suffix(".log.jsonl"))] == ["start", "finished", "end"]
    assert verify(out.parent)[1] == []


def test_a_strangers_folder_gets_no_log(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert tokenizer(tmp_path) == 1
    (tmp_path / "out" / "manifest.json").write_text('{"name": "a web app"}')
    assert tokenizer(tmp_path) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "thesis.txt"]


def test_a_log_alone_is_no_strangers_folder(tmp_path):
    (tmp_path / "log.jsonl").write_text("{}\n")
    made_from = manifest.MadeFrom(stage="language-id", algorithm=1, settings={}, inputs=[])
    assert manifest.begin(tmp_path, made_from, rebuild=True) == "new"
    assert (tmp_path / "log.jsonl").read_text() == "{}\n"


def test_warnings_are_recorded_and_a_killed_command_leaves_what_it_had(tmp_path):
    """Progress writes what waits: nothing of this is at the end of a command."""
    manifest.begin(tmp_path, manifest.MadeFrom(stage="score", algorithm=1, settings={}, inputs=[]))
    log.start(["score"])
    log.in_folder(tmp_path)
    warn(f"a slow path with {SECRET}")
    with progress("score") as update:
        update(1, 2)
    start, warning = events(tmp_path / "log.jsonl")
    assert (start["event"], warning["event"], warning["message"]) == ("start", "warning", "a slow path with ***")


def test_an_error_that_another_process_says_is_recorded(tmp_path, capsys, monkeypatch):
    def invoke(_arguments):
        manifest.begin(tmp_path, manifest.MadeFrom(stage="train", algorithm=1, settings={}, inputs=[]))
        log.in_folder(tmp_path)
        raise SaidElsewhere(DamagedFile("the shards are cut"))

    monkeypatch.setattr(cli, "_invoke", invoke)
    code, _, said = tamiz(capsys, "train")
    _, error, end = events(tmp_path / "log.jsonl")
    assert (code, said, end["event"], end["exit_code"]) == (1, "", "end", 1)
    assert "the shards are cut" in error["message"]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, capsys):
    assert tokenizer(tmp_path) == 0
    (tmp_path / "out" / "log.jsonl").unlink()
    (tmp_path / "out" / "log.jsonl").mkdir()
    assert tokenizer(tmp_path) == 0
    assert capsys.readouterr().err.count("the run goes on without a log") == 1


@pytest.mark.parametrize(
    ("torn", "kept"),
    [
        ('{"event": "end"}', ['{"event": "end"}']),
        ('{"event": "e', []),
        ('{"event": "end"}\n{"event": "stä', ['{"event": "end"}']),
        ('{"event": "end"}\n', ['{"event": "end"}']),
        ("", []),
    ],
)
def test_a_torn_last_line_is_mended(tmp_path, torn, kept):
    """As a killed command or a full disk leaves it, also within a character."""
    manifest.begin(tmp_path, manifest.MadeFrom(stage="score", algorithm=1, settings={}, inputs=[]))
    path = tmp_path / "log.jsonl"
    path.write_bytes(torn.encode()[: -1 if torn.endswith("ä") else None])
    log.start(["score"])
    log.in_folder(tmp_path)
    log.flush()
    lines = path.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert [json.loads(line)["event"] for line in lines[len(kept) :]] == ["start"]


def test_no_field_holds_a_secret_in_the_end(tmp_path):
    """Not only the fields that are known to quote what a user gave."""
    manifest.begin(tmp_path, manifest.MadeFrom(stage="score", algorithm=1, settings={}, inputs=[]))
    log.start(["score"])
    log.in_folder(tmp_path)
    log.event("new kind", nested={"list": [f"a {SECRET}", "https://me:pa55@host/a"]}, key=SECRET)
    log.flush()
    added = events(tmp_path / "log.jsonl")[-1]
    assert added["nested"] == {"list": ["a ***", "https://***@host/a"]}
    assert added["key"] == "***"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--hf_token", SECRET, "--workers", "2"], ["--hf_token", "***", "--workers", "2"]),
        (["--token=abc"], ["--token=***"]),
        (["--s3_secret_access_key", "abc", "--api-key=x"], ["--s3_secret_access_key", "***", "--api-key=***"]),
        (["--set", f"documents.input={SECRET}"], ["--set", "documents.input=***"]),
        (["--input", "https://me:pass@host/a"], ["--input", "https://***@host/a"]),
        (["--tokenizer", "byt5", "--train-tokenizer", "9"], ["--tokenizer", "byt5", "--train-tokenizer", "9"]),
        (["--token", "--workers", "2"], ["--token", "--workers", "2"]),
        (["--set", "hub.token=abc", "token", "a"], ["--set", "hub.token=***", "token", "a"]),
        (["--input", "https://me:pa/ss@host/a"], ["--input", "https://***@host/a"]),
        (["--input", "https://abc@host/a"], ["--input", "https://***@host/a"]),
        (
            ["--input", "https://host/a?X-Amz-Signature=abc&b=1"],
            ["--input", "https://host/a?X-Amz-Signature=***&b=1"],
        ),
        (["--set", "lm.input=s3://a?access_token=abc"], ["--set", "lm.input=s3://a?access_token=***"]),
        (['--environment={"env":{"HF_TOKEN":"abc"}}'], ['--environment={"env":{"HF_TOKEN":"***"}}']),
        (["--input", "hf://datasets/a/b@main/c"], ["--input", "hf://datasets/a/b@main/c"]),
        (["--token", "-abc"], ["--token", "***"]),
        (["--set", "tokenizer.extra_ids=3"], ["--set", "tokenizer.extra_ids=3"]),
    ],
)
def test_secrets_are_removed(given, shown):
    assert without_secrets(given) == shown
