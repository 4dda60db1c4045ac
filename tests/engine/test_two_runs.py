"""Two commands in one run folder: the second one says who works there; a killed one is in nobody's way."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpora.locks import SUFFIX
from corpora.verify import verify
from tests import warm
from tests.conftest import DEMO, ROOT

RECIPE = """
[documents]
input = "{input}"
[tokenizer]
kind = "unigram"
vocab_size = 400
extra_ids = 0
"""


def tamiz(*arguments: object) -> tuple[int, str]:
    done = warm.tamiz(*arguments)
    return done.returncode, done.stderr


@contextmanager
def standing_still(folder: Path, *arguments: object) -> Iterator[int]:
    """A command that is stopped as soon as it holds the lock of the folder, and killed at the end of the block."""
    command = [sys.executable, "-m", "tamiz", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    while not (folder / SUFFIX).exists() or not (folder / SUFFIX).read_bytes():
        assert process.poll() is None
        assert time.monotonic() - begun < 300
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_run_beside_score_and_score_beside_run(lm, tmp_path):
    recipe, run = tmp_path / "own.toml", tmp_path / "run"
    recipe.write_text(RECIPE.format(input=DEMO / "documents.jsonl"))
    running = ("run", recipe, "--out", run)
    scoring = ("score", "--input", DEMO / "documents.jsonl", "--lm", lm, "--out", run / "scores")
    with standing_still(run, *running) as pid:
        code, error = tamiz(*scoring)
    assert code == 1
    assert re.fullmatch(rf"error: {run} is in use by tamiz run \(pid {pid} on .*\): wait for it, or .*\n", error)
    assert not (run / "scores").exists()
    assert (run / SUFFIX).exists()
    code, error = tamiz(*running)  # the killed one is in nobody's way
    assert (code, verify(run)[1]) == (0, []), error
    with standing_still(run / "scores", *scoring) as pid:
        code, error = tamiz(*scoring)
    assert code == 1
    assert re.fullmatch(rf"error: {run}/scores is in use by tamiz score \(pid {pid} on .*\n", error)
    assert (run / "scores" / SUFFIX).exists()
    assert not [problem for problem in verify(run)[1] if SUFFIX in problem]
    assert tamiz(*scoring)[0] == 0
    assert verify(run)[1] == []
    assert not list(run.rglob(f"*{SUFFIX}"))
