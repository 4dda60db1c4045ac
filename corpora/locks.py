"""One run at a time in an output folder: a lock that the kernel drops when its process ends, however it ends.

Only on disks: a store has no locks. There, two runs of the same work end in the same bytes, and one of other work is
refused by the manifest, which whoever comes first creates; for work that can't be shared, see `leases`. The lock is
on a file of its own, which says who works there. The file is removed with the lock; one that a killed run leaves
blocks nobody. Only the process that runs a command takes locks: Beam's workers don't.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import msgspec

from corpora.addresses import scheme_of
from corpora.errors import TamizError

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)
SUFFIX = ".tamiz.lock"
_SHARE = " --share "
_TRIES, _PAUSE = 4, 0.05  # another process may hold the lock for a moment, to look whether it is free
_TOLD = 5.0  # seconds of waiting for a share, after which that is said
_held: ContextVar[frozenset[Path]] = ContextVar("_held", default=frozenset())
_shared: ContextVar[frozenset[Path]] = ContextVar(
    "_shared", default=frozenset()
)  # those that others may hold as well


class InUse(TamizError):
    """Another process, or another thread, works in the folder. fact: the message without its advice."""

    fact: str = ""


class Holder(msgspec.Struct):
    """Who works there: the content of a lock file."""

    command: str
    pid: int
    host: str
    since: float

    def __str__(self) -> str:
        if not self.command:
            return "another tamiz"
        said = f"tamiz {self.command} (pid {self.pid} on {self.host}{self._begun})"
        return "".join(character if character.isprintable() else "?" for character in said)

    @property
    def _begun(self) -> str:
        try:
            begun, today = time.localtime(self.since), time.localtime()
        except (OverflowError, ValueError, OSError):
            return ""
        clock = "%H:%M" if begun[:3] == today[:3] else "%Y-%m-%d %H:%M"
        return f", since {time.strftime(clock, begun)}"


def is_lock(path: Path | str) -> bool:
    return str(path).endswith(SUFFIX)


@contextlib.contextmanager
def locked(place: object, command: str, model: str = "", *, shared: bool = False) -> Iterator[None]:
    """Holds the lock of a folder, or of the language model with this stem in it, while the block runs.

    A block inside a block that holds the lock runs at once. A folder made for the lock is removed again if nothing is
    in it at the end. Where the file system has no locks, the block runs with a warning.
    command: what works there, for the message. shared: others may hold it as well, but nobody alone; a `named_share`
    that holds it alone, to look whether all are done or to finish, is waited for. Raises InUse.
    """
    if scheme_of(str(place)):  # a store has no locks: there, a manifest is claimed by whoever makes it first
        yield
        return
    folder = Path(str(place))
    path = _lock_path(folder, model)
    if path in _held.get():
        yield
        return
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    descriptor = _acquire(path, command, shared)
    before = _held.set(_held.get() | {path})
    shares = _shared.set(_shared.get() | {path} if shared else _shared.get() - {path})
    try:
        check_free(folder, model)
        yield
    finally:
        _held.reset(before)
        _shared.reset(shares)
        if descriptor is not None:
            with contextlib.suppress(OSError):  # BlockingIOError: others still hold it
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            os.close(descriptor)
        with contextlib.suppress(OSError):  # it holds the output
            for empty in made:
                empty.rmdir()


def check_free(place: object, model: str = "") -> None:
    """Raises InUse if another run holds the lock of the folder, of the model, or of the run that the folder is in."""
    if scheme_of(str(place)):
        return
    path = _lock_path(Path(str(place)), model)
    above = (_lock_path(path.parent), _lock_path(path.parent.parent))
    for each in dict.fromkeys((path, *above)):
        if each not in _held.get() and _is_held(each):
            raise _in_use(each)


def named_share(command: str, share: tuple[int, int] | None) -> str:
    """The command of a share, or of a run without one, for `locked`."""
    return command if share is None else f"{command}{_SHARE}{share[0]}/{share[1]}"


def _lock_path(folder: Path, model: str = "") -> Path:
    return folder.resolve() / (f".{model}{SUFFIX}" if model else SUFFIX)


def is_shared(folder: Path) -> bool:
    """Whether this run shares the folder with others that may be at work there."""
    return _lock_path(folder) in _shared.get()


def _acquire(path: Path, command: str, shared: bool) -> int | None:
    """An open file with the lock; None where there can't be one: whoever writes there says why."""
    if fcntl is None:
        return None
    attempt, waited = 0, 0.0
    while attempt < _TRIES:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            time.sleep(_PAUSE)
            if shared and _SHARE in (holder := _holder(path)):
                waited += _PAUSE
                if waited - _PAUSE < _TOLD <= waited:
                    _log.warning(
                        "%s: waiting for %s, which looks whether all is done, and finishes", path.parent, holder
                    )
            else:
                attempt += 1
            continue
        except OSError as error:
            os.close(descriptor)
            _log.warning("%s: no locks here (%s): start no second run in this folder", path.parent, error.strerror)
            return None
        if _is_at(descriptor, path):
            _introduce(descriptor, command)
            return descriptor
        os.close(descriptor)  # its last holder has just removed it
        attempt += 1
    raise _in_use(path)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _introduce(descriptor: int, command: str) -> None:
    holder = Holder(command, os.getpid(), socket.gethostname(), time.time())
    with contextlib.suppress(OSError):  # a full disk: the lock holds without words
        os.ftruncate(descriptor, 0)
        os.write(descriptor, msgspec.json.encode(holder))


def _is_held(path: Path) -> bool:
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _holder(path: Path) -> str:
    try:
        return str(msgspec.json.decode(path.read_bytes(), type=Holder))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return "another tamiz"


def _in_use(path: Path) -> InUse:
    place = path.parent if path.name == SUFFIX else path.parent / f"{path.name[1:].removesuffix(SUFFIX)}.bin"
    fact = f"{_shown(place)} is in use by {_holder(path)}"
    error = InUse(f"{fact}: wait for it, or choose another --out")
    error.fact = fact
    return error


def _shown(path: Path) -> Path:
    """Relative to the working folder, as users name folders, if it lies below it."""
    with contextlib.suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path
