"""Processes of a test: started in the background, awaited for a bounded time, never left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import ROOT

REAPER = Path(__file__).with_name("reaper.py")
READY_SECONDS = 120  # a loaded machine is no failure


class NotReady(AssertionError):
    """A process ended, or took too long, before it was ready."""


def free_ports(number: int) -> list[int]:
    """Ports of the loopback that nobody has. All are held until the last is found, so they differ."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers(port: int, host: str = "localhost") -> bool:
    """Whether something listens there."""
    try:
        with closing(socket.create_connection((host, port), timeout=1)):
            return True
    except OSError:
        return False


def environment(**more: str) -> dict[str, str]:
    """This process's, so that `python` is this interpreter and finds this checkout, wherever the process starts."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PATH": path, "PYTHONPATH": code, **more}


@dataclass(frozen=True)
class Running:
    """A command in the background. process: the command's own."""

    process: psutil.Process
    _reaper: subprocess.Popen[bytes]

    @property
    def alive(self) -> bool:
        return self._reaper.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Its exit code, 137 after SIGKILL; None if it still runs after so many seconds."""
        try:
            return self._reaper.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], object] = lambda: True,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A command in the background, once it is ready; its output is in `log`. It ends with the block."""
    with log.open("ab") as output:
        reaper = subprocess.Popen(
            [sys.executable, "-S", str(REAPER), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment(**(variables or {})),
            start_new_session=True,
        )
    with reaper:
        try:
            mine = psutil.Process(reaper.pid)
            wait_for(mine.children, lambda: reaper.poll() is None, command[0], log)
            process = mine.children()[0]
            wait_for(ready, lambda: reaper.poll() is None, f"{command[0]} ({log})", log)
            yield Running(process, reaper)
        finally:
            reaper.terminate()


def wait_for(
    ready: Callable[[], object],
    alive: Callable[[], bool],
    what: str,
    log: Path | None = None,
    seconds: float = READY_SECONDS,
) -> None:
    """Returns once it is ready. Raises NotReady if it ends before, or after so many seconds."""
    end = time.monotonic() + seconds
    while not ready():
        ended, late = not alive(), time.monotonic() > end
        if ended or late:
            said = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise NotReady(f"{what} {'ended' if ended else f'was not ready after {seconds:.0f} s'}\n{said}")
        time.sleep(0.1)
