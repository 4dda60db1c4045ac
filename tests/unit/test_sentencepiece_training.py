"""SentencePiece trains in a process of its own: the same bytes, ended at once, and never in vain."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sentencepiece

from corpora import files, lm_json
from corpora.encoding.sentencepiece import training
from corpora.encoding.sentencepiece.training import TrainingRefused, train_sentencepiece
from corpora.errors import TamizError
from tamiz.recipes.schema import DEMO
from tests.invented import document

LINES = [line for n in range(300) for line in document(n).split("\n")] + [
    "tab\tcontado",
    "línea\ncon salto",
    "\r fin",
]
OPTIONS = {"model_type": "unigram", "vocab_size": 120, "hard_vocab_limit": False, "num_threads": 2, "minloglevel": 2}


def test_the_model_is_that_of_sentencepiece_in_this_process() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_writer=model, **OPTIONS)
    assert train_sentencepiece(LINES, OPTIONS) == model.getvalue()


def test_a_kept_model_is_for_the_same_lines_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train_sentencepiece(LINES, OPTIONS, tmp_path)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(training._Child, "answer", lambda _: b"trained again")
    assert train_sentencepiece(LINES, OPTIONS, tmp_path) == model
    assert train_sentencepiece(LINES[1:], OPTIONS, tmp_path) == b"trained again"
    assert train_sentencepiece(LINES, {**OPTIONS, "vocab_size": 121}, tmp_path) == b"trained again"
    kept.write_bytes(kept.read_bytes()[:-1])
    assert train_sentencepiece(LINES, OPTIONS, tmp_path) == b"trained again"


def test_what_sentencepiece_refuses_is_told() -> None:
    with pytest.raises(TrainingRefused, match="no_such_option"):
        train_sentencepiece(LINES * 1000, {**OPTIONS, "no_such_option": 1})
    with pytest.raises(TrainingRefused, match="Vocabulary size too high"):
        train_sentencepiece(LINES, {**OPTIONS, "vocab_size": 9000, "hard_vocab_limit": True})


def test_a_native_crash_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    started = subprocess.Popen

    def in_little_memory(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        least = 170 << 20
        return started(
            *arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (least, least)), **options
        )  # type: ignore[call-overload]

    monkeypatch.setattr(training.subprocess, "Popen", in_little_memory)
    with pytest.raises((TamizError, TrainingRefused), match="memory") as failed:
        train_sentencepiece((f"{n} abc {n * n}" for n in range(10_000)), OPTIONS)
    assert "\n" not in str(failed.value)


def test_it_ends_with_its_parent() -> None:
    """The parent is killed while it hands lines over, and while it waits."""
    code = """
import itertools, os, sys
from corpora.encoding.sentencepiece import training
class Child(training._Child):
    def __enter__(self):
        child = super().__enter__()
        print(self._process.pid, flush=True)
        return child
training._Child = Child
training.train_sentencepiece(map(str, itertools.count()), {"vocab_size": 100, "minloglevel": 2})
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _gone(child)


def _gone(process: int) -> bool:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        try:
            if Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":
                return True
            os.kill(process, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def _command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tamiz", *arguments, "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _stopped_in_sentencepiece(process: subprocess.Popen[str]) -> tuple[str, float]:
    """Sends ^C once SentencePiece is at work; what was printed, and the seconds until the process was gone."""
    assert process.stdout is not None
    for line in process.stdout:
        if "SentencePiece" in line:
            break
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[0]
    return said, time.monotonic() - begun


@pytest.mark.parametrize(
    "arguments",
    [
        ("lm", "train", "--train-tokenizer", "6000", "--order", "2"),
        ("tokenizer", "train", "--kind", "unigram", "--vocab-size", "6000", "--sample", "3000"),
    ],
)
def test_ctrl_c_ends_a_training_at_once(arguments: tuple[str, ...], tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("\n".join((DEMO / "documents.jsonl").read_text().split("\n") * 8))
    process = _command(tmp_path / "out.bin", *arguments, "--input", str(source))
    said, seconds = _stopped_in_sentencepiece(process)
    assert process.returncode == 130, said
    assert "stopped; run the same command again" in said
    assert seconds < 3


def test_an_interrupted_lm_continues_after_sentencepiece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from corpora.perplexity.settings import LmSettings
    from corpora.perplexity.small_text import SmallText
    from corpora.perplexity.train_lm import train_lm

    texts, settings = [document(n) for n in range(200)], LmSettings(order=2, train_tokenizer=100)
    train_lm(texts, tmp_path / "whole.bin", settings=settings)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "es.bin"
    with monkeypatch.context() as patched:
        patched.setattr(SmallText, "write_model", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_lm(texts, out, settings=settings)
    assert len(list(lm_json.progress_folder(out).iterdir())) == 1
    with monkeypatch.context() as patched:
        patched.setattr(training._Child, "answer", stopped)
        train_lm(texts, out, settings=settings)
    for name in ("bin", "spiece.model"):
        assert files.sha256(out.with_suffix(f".{name}")) == files.sha256(tmp_path / f"whole.{name}")
    assert not (tmp_path / ".progress").exists()
