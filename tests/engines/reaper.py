"""Runs a command and ends with it: `python reaper.py COMMAND ...`, started by `tests.engines.processes`.

When the command ends, when stdin closes or when SIGTERM comes, every process below this one is killed, also one that
made a session of its own or whose parent has gone. stdin is a pipe from the test, so its death closes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: whose parent has gone becomes a child of this process


def below(parent: int) -> list[int]:
    """Every process below `parent` that hasn't ended."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 (quicker to start)
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            state, above = file.read().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(above), []).append(int(name))
    found, pending = [], [parent]
    while pending:
        more = children.get(pending.pop(), [])
        found += more
        pending += more
    return found


def kill_all() -> None:
    while pids := below(os.getpid()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def main() -> None:
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in a terminal is for the test, which then ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as process:
            try:
                while process.poll() is None:
                    if select.select([0], [], [], 0.1)[0] and not os.read(0, 1):
                        break
            finally:
                kill_all()
    finally:
        kill_all()
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


if __name__ == "__main__":
    main()
