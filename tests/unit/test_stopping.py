"""^C ends a command soon, at any point, whatever a library makes of the KeyboardInterrupt."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpora.documents.items import work_items
from corpora.stopping import Stopped, go_on, interruptible, working
from corpora.verify import verify
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import run_units
from pipelines.settings import RunnerSettings
from tests import warm

ROOT = Path(__file__).parents[2]


def test_an_interrupt_that_a_library_loses_ends_the_block():
    def lost(made_of_it: Exception | None) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if made_of_it is not None:
                raise made_of_it from None

    for made_of_it in (None, RuntimeError("KeyboardInterrupt [while running it]"), SystemError("an exception set")):
        with pytest.raises(KeyboardInterrupt), interruptible():
            lost(made_of_it)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_a_lost_interrupt_the_next_block_does_not_begin():
    """One came while pandas was imported, before the first unit."""

    def command() -> None:
        with interruptible():
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            with interruptible():
                pytest.fail("it began")

    with pytest.raises(KeyboardInterrupt):
        command()


def test_other_errors_and_ignored_interrupts_stay_as_they_are():
    with pytest.raises(ValueError, match="mine"), interruptible():
        raise ValueError("mine")
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible() as stop:
            signal.raise_signal(signal.SIGINT)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGINT, handler)


def test_only_the_threads_of_the_interrupted_run_stop():
    stop = threading.Event()
    stop.set()
    go_on()
    with working(stop), pytest.raises(Stopped):
        go_on()
    with working(threading.Event()):
        go_on()


@dataclass(frozen=True)
class SlowWork:
    """Takes 0.1 s a row, and interrupts the process while it reads the first item."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: object) -> ItemResult:
        with ItemReader(self.out, item) as reader:  # type: ignore[arg-type]
            for number, _ in enumerate(reader.batches()):
                if number == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)
        Path(self.out, f"{item.name}.done").touch()  # type: ignore[attr-defined]
        return reader.result(kept=reader.read)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # Beam's lose their server
@pytest.mark.parametrize("workers", [1, 3])
def test_units_stop_in_whichever_thread_they_are(tmp_path, workers):
    for number in range(8):
        (tmp_path / f"in{number}.jsonl").write_text(json.dumps({"text": "uno dos tres"}) + "\n")
    items = work_items([str(tmp_path / "in*.jsonl")])
    before, begun = set(threading.enumerate()), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_units(SlowWork(str(tmp_path / "out")), items, RunnerSettings(workers=workers))
    while set(threading.enumerate()) - before and time.monotonic() - begun < 3:
        time.sleep(0.02)  # some threads of Beam outlive it
    assert len(list((tmp_path / "out").glob("*.done"))) <= workers


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A `tamiz score` that takes some seconds, without --out."""
    home = tmp_path_factory.mktemp("scoring")
    demo = (ROOT / "tamiz/recipes/demo/documents.jsonl").read_bytes()
    for number in range(4):
        (home / f"d{number}.jsonl").write_bytes(demo * 8)
    model, text = home / "lm.bin", ROOT / "tamiz/recipes/demo/clean.jsonl"
    warm.tamiz("lm", "train", "--input", text, "--words", "--order", 2, "--out", model).check_returncode()
    return ["score", "--input", str(home / "d*.jsonl"), "--lm", str(model)]


def test_an_interrupt_while_tamiz_is_imported_is_one_line() -> None:
    code = """
import signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "tamiz.cli":
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.meta_path.insert(0, Interrupting())
from tamiz.start import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "error: stopped; run the same command again to continue\n")


@pytest.mark.slow
@pytest.mark.parametrize("moments", [(0.5, 1, 1.5), (2,), (3,)], ids=str)
def test_score_stops_at_any_point_and_continues(scoring, tmp_path, moments):
    """The first ones mostly before any work: one folder will do for them."""
    command = [*scoring, "--out", str(tmp_path / "scores")]
    for after in moments:
        interrupt(command, tmp_path / "scores", after)
    warm.tamiz(*command).check_returncode()
    assert verify(tmp_path / "scores")[1] == []


def interrupt(command: list[str], out: Path, after: float) -> None:
    """Starts the command and interrupts it after some seconds."""
    there = out.exists()
    process = subprocess.Popen(
        [sys.executable, "-m", "tamiz", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    time.sleep(after)
    ended = process.poll() is not None  # before the interrupt
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=60)
    ended = ended or (process.returncode == 0 and time.monotonic() - sent < 0.5)  # it was about to end
    nothing_yet = there or not out.exists()
    early = process.returncode == -signal.SIGINT and nothing_yet  # on a slow machine, before Python itself ran
    assert early or process.returncode == (0 if ended else 130)
    assert "Traceback" not in errors
    if not (ended or early):
        assert errors.splitlines()[-1] == "error: stopped; run the same command again to continue"
