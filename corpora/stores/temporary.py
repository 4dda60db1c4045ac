"""Local temporary files of what goes to a store: in TMPDIR, each locked by its process, removed with it.

The kernel drops the lock of a process that is killed; the next process that makes a temporary file finds such files
free and removes them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from corpora.errors import TamizError

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

_FOLDER = ".d"  # ends the name of a folder, whose lock is on the file beside it
_OLD = 24 * 3600.0  # seconds, where there are no locks


@contextlib.contextmanager
def local_file(name: str) -> Iterator[Path]:
    """An empty local file, removed when the block ends. name: ends its name, without folders."""
    folder = _folder()
    _clear(folder)
    path = folder / f"{uuid.uuid4().hex[:12]}-{Path(name).name}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TamizError(f"can't write {path}: {error.strerror}; let TMPDIR name a folder with room") from error
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def local_folder() -> Iterator[Path]:
    """An empty local folder, removed with its content when the block ends."""
    with local_file("folder") as lock:
        folder = lock.with_name(f"{lock.name}{_FOLDER}")
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"tamiz-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise TamizError(f"can't make {folder}: {error.strerror}; let TMPDIR name another folder") from error
    return folder


@functools.lru_cache(4)
def _clear(folder: Path) -> None:
    """Once per process: removes the files whose processes are gone."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.is_file() and _is_left(path):
                shutil.rmtree(path.with_name(f"{path.name}{_FOLDER}"), ignore_errors=True)
                path.unlink()


def _is_left(path: Path) -> bool:
    age = time.time() - path.stat().st_mtime
    if fcntl is None:
        return age > _OLD
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age > _OLD
    finally:
        os.close(descriptor)
    return age > 1  # between its making and its lock
