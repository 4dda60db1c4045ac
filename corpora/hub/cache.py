"""TAMIZ_HUB_CACHE: a folder that keeps what was fetched, by its hash, and continues what was cut short.

One file per content, `<hash>`, and `<hash>.part` while it is fetched, locked by whoever fetches it; a second process
that wants the same waits. Nothing is ever removed: the folder is the user's. A file is checked each time it is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora.errors import TamizError
from corpora.hub.fetching import fetch
from corpora.hub.pacing import rest
from corpora.hub.remote import RemoteFile

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

VARIABLE = "TAMIZ_HUB_CACHE"
_PIECE = 1 << 20


def folder() -> Path | None:
    """None if the variable isn't set."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None


@contextlib.contextmanager
def kept(file: RemoteFile) -> Iterator[IO[bytes]]:
    """The file's content, checked, open at its start. Raises what `opening.verified` raises."""
    path = Path(str(folder()), file.tag)
    with contextlib.ExitStack() as closing:
        while (copy := _found(file, path) or _fetched(file, path)) is None:
            rest(0.2)  # somebody else fetches it
        yield closing.enter_context(copy)


def _found(file: RemoteFile, path: Path) -> IO[bytes] | None:
    """None if it isn't there. A damaged one is removed."""
    try:
        copy = path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TamizError(f"can't read {path}: {error.strerror}; correct {VARIABLE}") from error
    digest = file.digest()
    while piece := copy.read(_PIECE):
        digest.update(piece)
    if digest.hexdigest() == file.tag:
        copy.seek(0)
        return copy
    copy.close()
    path.unlink(missing_ok=True)
    return None


def _fetched(file: RemoteFile, path: Path) -> IO[bytes] | None:
    """None if another process has the lock, or has just finished."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        copy = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=_PIECE)
    except OSError as error:
        raise TamizError(f"can't write {part}: {error.strerror}; correct {VARIABLE}") from error
    with contextlib.ExitStack() as closing:
        closing.enter_context(copy)
        if not _locked(copy, part):
            return None
        fetch(file, copy, part, advice=f"point {VARIABLE} to a larger disk")
        os.fsync(copy.fileno())
        part.replace(path)
        closing.pop_all()
    return copy


def _locked(copy: IO[bytes], part: Path) -> bool:
    """Whether the open file is still that of the name, and now this process's alone. Its end ends the lock."""
    try:
        if fcntl is not None:
            fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(copy.fileno()), part.stat())
    except BlockingIOError:
        return False
    except FileNotFoundError:  # renamed by who had the lock
        return False
    except OSError:  # a file system without locks: contents are checked at the end all the same
        return True
