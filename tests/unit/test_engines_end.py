"""What tests.engines starts ends with its block, and with the process that started it, however that dies."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.engines.processes import NotReady, environment, free_ports, running

# a shell that leaves a process of its own session behind, and writes its id down
LEAVES_ONE = ["sh", "-c", 'setsid sleep 600 & echo $! > "$0"; sleep 600']


def pid_in(path: Path) -> int:
    end = time.monotonic() + 60
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(path.read_text())


def ended(pid: int) -> bool:
    end = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_all_that_was_started_ends_with_the_block(tmp_path):
    with running([*LEAVES_ONE, str(tmp_path / "pid")], tmp_path / "log") as started:
        pid = pid_in(tmp_path / "pid")
        assert started.alive
        assert psutil.pid_exists(pid)
    assert ended(pid)
    assert not started.alive


def test_all_that_was_started_ends_when_the_test_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from tests.engines.processes import running\n"
        f"with running({[*LEAVES_ONE, str(tmp_path / 'pid')]!r}, Path({str(tmp_path / 'log')!r})): time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=environment()) as test:
        pid = pid_in(tmp_path / "pid")
        test.kill()
    assert ended(pid)


def test_exit_codes_come_back(tmp_path):
    with running(["sh", "-c", "sleep 0.3; exit 7"], tmp_path / "log") as started:
        assert started.wait(60) == 7
    with running(["sleep", "600"], tmp_path / "log") as started:
        assert started.wait(0.1) is None
        started.process.kill()
        assert started.wait(60) == 137


def test_what_never_gets_ready_is_said(tmp_path):
    with pytest.raises(NotReady, match=r"(?s)sh .*ended.*no such thing"):  # noqa: SIM117
        with running(["sh", "-c", "sleep 0.2; echo no such thing; exit 1"], tmp_path / "log", lambda: False):
            pass


def test_free_ports_differ():
    assert len(set(free_ports(20))) == 20
