"""What SIGTERM does to one of several processes outside a step, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

BEGIN = """
import os, signal, sys, time
from tamiz.trainer import grace
grace.SECONDS = 0.5
def term(): os.kill(os.getpid(), signal.SIGTERM)
"""


def ends(script: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    found = subprocess.run(
        [sys.executable, "-c", BEGIN + script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize("says", [True, False])
def test_it_ends_after_some_seconds_and_says_why_if_it_is_to(says: bool) -> None:
    code, _, error = ends(f"""
with grace.Grace(lambda: {says}, lambda: False):
    term()
    time.sleep(60)
""")
    assert (code, error.startswith("error: SIGTERM: torchrun"), error.count("\n")) == (143, says, int(says))


def test_whoever_catches_the_signal_has_time_and_one_before_them_counts() -> None:
    assert ends("""
caught = []
with grace.Grace(lambda: True, lambda: bool(caught)):
    caught.append(True)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    term()
    time.sleep(1.5)
    print("saved", flush=True)
    signal.signal(signal.SIGTERM, before)
    term()
    time.sleep(60)
""")[:2] == (143, "saved\n")


def test_an_error_that_has_left_the_block_is_not_cut_short() -> None:
    """Though whether to say why was being found out."""
    code, out, error = ends("""
import threading
asked, left = threading.Event(), threading.Event()
def says():
    asked.set()
    return left.wait(30)
try:
    with grace.Grace(says, lambda: False):
        term()
        asked.wait(30)
        raise ValueError
except ValueError:
    left.set()
    term()
    time.sleep(1)
    print("the error", flush=True)
""")
    assert (code, out, error) == (0, "the error\n", "")


def test_a_closed_stderr_does_not_keep_it_alive() -> None:
    assert (
        ends("""
os.close(2)
with grace.Grace(lambda: True, lambda: False):
    term()
    time.sleep(60)
""")[0]
        == 143
    )


def test_all_is_put_back_and_a_child_is_on_its_own() -> None:
    code, out, error = ends("""
def open_files(): return len(os.listdir("/proc/self/fd"))
before = open_files()
for _ in range(3):
    with grace.Grace(lambda: True, lambda: False):
        pass
time.sleep(0.2)
print(open_files() - before, signal.set_wakeup_fd(-1), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
with grace.Grace(lambda: True, lambda: False):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.3)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    time.sleep(1.5)
print("the end")
""")
    assert (code, out, error) == (0, "0 -1 True\n-15\nthe end\n", "")
