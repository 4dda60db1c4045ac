"""What this process, and the processes that it waited for, have used: processor time and memory."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

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


def largest_child_bytes() -> int:
    """The largest resident memory of a child process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _UNIT


def _of_status(name: str) -> int:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
