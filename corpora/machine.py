"""What this machine has: cores that the process may use, and room on its disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nearest_folder(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def free_bytes(path: Path) -> int:
    """Free bytes where `path` is, or will be."""
    return shutil.disk_usage(nearest_folder(path)).free
