"""What this machine has: cores that the process may use, and room on its disks."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

_M_ARENA_MAX = -8  # of glibc's mallopt(3)


def use_one_heap() -> None:
    """Threads of this process, and processes that it starts, share one heap each, unless MALLOC_ARENA_MAX is set.

    glibc gives each thread a heap of its own. What the threads of a pipeline free there stays scattered and unused:
    score took 615 MB on ten times as much text, in place of 409 (`benchmarks.memory_growth --copies`). To be called
    before threads begin. Elsewhere than on Linux, nothing happens.
    """
    if "MALLOC_ARENA_MAX" in os.environ or sys.platform != "linux":
        return
    os.environ["MALLOC_ARENA_MAX"] = "1"
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nearest_folder(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def free_bytes(path: Path) -> int:
    """Free bytes where `path` is, or will be."""
    return shutil.disk_usage(nearest_folder(path)).free
