"""Folders of copies under their own names: a model beside its tokenizer, the shards of a folder.

Each is `folders/<key>` in the cache, of links to the copies there. Whoever reads one holds a shared lock on it until
its process ends, so that nobody makes room by removing it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

FOLDERS = "folders"
_LOCK = ".lock"
_held: dict[Path, int] = {}  # folder -> the descriptor of its lock, in this process and its children


def view(cache: Path, key: str, copies: Mapping[str, Path]) -> Path:
    """A folder that has each of the copies under its name. key: what names its content."""
    folder = cache / FOLDERS / key
    folder.mkdir(parents=True, exist_ok=True)
    if folder not in _held:
        _held[folder] = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            if fcntl is not None:
                fcntl.flock(_held[folder], fcntl.LOCK_SH)
    for name, copy in copies.items():
        path = folder / name
        if not (path.exists() and path.samefile(copy)):
            path.parent.mkdir(parents=True, exist_ok=True)
            _link(copy, path)
    return folder


def _link(copy: Path, path: Path) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}")
    try:
        os.link(copy, temporary)
    except OSError:  # a file system without links
        temporary.symlink_to(copy)
    temporary.replace(path)


def remove_unused(cache: Path, older: float) -> None:
    """Removes the folders that no process reads and that are older than so many seconds."""
    for folder in (cache / FOLDERS).glob("*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > older and _is_free(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_free(folder: Path) -> bool:
    if fcntl is None:
        return True
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
