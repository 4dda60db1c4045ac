"""Keeps what was fetched by its hash, and continues what was cut short: for TAMIZ_HUB_CACHE, and for models.

One file per content, `<hash>`, and `<hash>.part` while it is fetched, locked by whoever fetches it; a second process
that wants the same waits, as long as something comes. Nothing is ever removed: the folder is the user's. A file is
checked each time it is used.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora.errors import BadArgument, TamizError
from corpora.hub.fetching import fetch, let_go
from corpora.hub.remote import RemoteFile
from corpora.hub.waiting import Waiting

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

VARIABLE = "TAMIZ_HUB_CACHE"
_PIECE = 1 << 20
ADVICE = f"let {VARIABLE} name a folder on another disk"


def folder() -> Path | None:
    """None if the variable isn't set. Raises BadArgument if it begins with the home of nobody."""
    named = os.environ.get(VARIABLE)
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError as error:
        raise BadArgument(f"{VARIABLE}={named}: there is no such user; name a folder") from error


def check_writable(kept: Path) -> None:
    """Raises TamizError unless files can be made in it. Makes it, as the first file would."""
    try:
        kept.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=kept).close()
    except OSError as error:
        raise TamizError(f"can't write in {kept} ({VARIABLE}): {error.strerror}; {ADVICE}") from error


@contextlib.contextmanager
def kept(file: RemoteFile, path: Path, advice: str) -> Iterator[IO[bytes]]:
    """The file's content, kept at `path`, checked, open at its start. Raises what `opening.verified` raises.

    advice: for the message about a disk that is full or doesn't let us.
    """
    waiting = Waiting(path)
    with contextlib.ExitStack() as closing:
        while (copy := _found(file, path, advice) or _fetched(file, path, waiting.part, advice)) is None:
            waiting.a_moment()
        yield closing.enter_context(copy)


def _found(file: RemoteFile, path: Path, advice: str) -> IO[bytes] | None:
    """None if it isn't there. A damaged one is removed."""
    try:
        copy = path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TamizError(f"can't read {path}: {error.strerror}; {advice}") from error
    if is_right(file, copy):
        copy.seek(0)
        return copy
    copy.close()
    path.unlink(missing_ok=True)
    return None


def is_right(file: RemoteFile, copy: IO[bytes]) -> bool:
    """Whether the content of an open copy has the hash of the listing."""
    digest = file.digest()
    while piece := copy.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest() == file.tag


def _fetched(file: RemoteFile, path: Path, part: Path, advice: str) -> IO[bytes] | None:
    """None if another process has the lock of the part, or has just finished."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        copy = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=_PIECE)
    except OSError as error:
        raise TamizError(f"can't write {part}: {error.strerror}; {advice}") from error
    with contextlib.ExitStack() as closing:
        closing.callback(let_go, copy)
        if not _locked(copy, part):
            return None
        if path.exists():  # it was finished between the look and the lock
            part.unlink(missing_ok=True)
            return None
        fetch(file, copy, part, advice=advice)
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
