"""What this process, and the processes that it waited for, have used: processor time and memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
from pathlib import Path
from typing import Self

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc_pid_clear_refs(5): resets VmHWM


def cpu_seconds() -> float:
    """Of all threads, and of child processes that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def forget_peak() -> None:
    """The peak of the memory is from now on; where the system can't do that, since the process began."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)


def peak_bytes() -> int:
    """The largest resident memory, with the pages of mapped files."""
    return _of_status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def resident_bytes() -> int:
    return _of_status("VmRSS") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


class Peak:
    """The most memory that this process and its children had at once, since the block began: its own peak, and the
    children's as seen now and then (a child's own peak counts what it shared with this process before its start)."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.bytes = 0
        self._children = 0
        self._every, self._stop = seconds, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        forget_peak()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.bytes = peak_bytes() + self._children

    def _look(self) -> None:
        while not self._stop.wait(self._every):
            self._children = max(self._children, children_bytes())


def children_bytes() -> int:
    """The resident memory of this process's children; 0 where the system doesn't tell."""
    found = 0
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += sum(_of_status("VmRSS", Path(f"/proc/{child}/status")) for child in task.read_text().split())
    return found


def _of_status(name: str, status: Path = _STATUS) -> int:
    with contextlib.suppress(OSError):
        for line in status.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
