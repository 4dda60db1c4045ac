"""Copies of a store's files on this machine, by content: a language model, a tokenizer, shards that are read.

One file per content, `<sha256>`, in TAMIZ_CACHE or the user's cache folder; `<sha256>.part` while it is fetched,
locked by whoever fetches it, so that a machine fetches it once. A copy is checked when a process first uses it.
Before a file is fetched, those that weren't used for longest make room for it: TAMIZ_CACHE_GB (100), and what the
disk has.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from corpora import files
from corpora.addresses import joined
from corpora.errors import BadArgument, DamagedFile, TamizError
from corpora.hub.waiting import Waiting
from corpora.machine import free_bytes
from corpora.stores.base import Known, Store
from corpora.stores.views import remove_unused

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

VARIABLE, SIZE = "TAMIZ_CACHE", "TAMIZ_CACHE_GB"
ADVICE = f"let {VARIABLE} name a folder on another disk"
_GIGABYTES = 100.0
_IN_USE = 3600.0  # seconds after its last use in which a copy isn't removed
_PIECE = 8 << 20
_NAME = re.compile(r"^[0-9a-f]{64}$")
_TRIES = 3
_log = logging.getLogger(__name__)


def folder() -> Path:
    """Raises BadArgument if the variable begins with the home of nobody."""
    named = os.environ.get(VARIABLE)
    if named:
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise BadArgument(f"{VARIABLE}={named}: there is no such user; name a folder") from error
    above = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # needs no home
    return Path(above) / "tamiz" / "files"


def fetched(store: Store, name: str, sha256: str | None = None) -> Path:
    """A checked copy of a store's file. sha256: what it must be; None: what the store says, or what comes.

    Raises FileNotFoundError, DamagedFile if its content is another, Unreachable.
    """
    if sha256 is None:
        known = store.known(name)
        if known is None:
            raise FileNotFoundError(f"{joined(store.address, name)}: no such file")
        sha256 = known.sha256
        key = sha256 or hashlib.sha256(f"{store.address}/{name} {known.size} {known.tag}".encode()).hexdigest()
        return _copy(store, name, key, checked=sha256 is not None)
    return _copy(store, name, sha256, checked=True)


def _copy(store: Store, name: str, key: str, *, checked: bool) -> Path:
    path = folder() / key
    waiting = Waiting(path)
    while not _is_there(path, checked):
        if not _fetch(store, name, path, waiting.part, checked):
            waiting.a_moment()
    with contextlib.suppress(OSError):
        os.utime(path)  # its last use
    return path


def _is_there(path: Path, checked: bool) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if not checked or _digest(path, status.st_size, status.st_ino) == path.name:
        return True
    _log.warning("%s is damaged: fetching it again", path)
    path.unlink(missing_ok=True)
    return False


@functools.lru_cache(4096)
def _digest(path: Path, size: int, inode: int) -> str:  # noqa: ARG001  # of the file that was hashed
    return files.sha256(path)


def _fetch(store: Store, name: str, path: Path, part: Path, checked: bool) -> bool:
    """False if another process fetches it, or has just done so."""
    at = joined(store.address, name)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise TamizError(f"can't write {part}: {error.strerror}; {ADVICE}") from error
    with contextlib.ExitStack() as closing:
        closing.callback(os.close, descriptor)
        if not _is_ours(descriptor, part):
            return False
        if path.exists():  # finished between the look and the lock
            part.unlink(missing_ok=True)
            return False
        closing.callback(part.unlink, missing_ok=True)
        _write(store, name, descriptor, part, path.name if checked else None, at)
        part.replace(path)
    return True


def _is_ours(descriptor: int, part: Path) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), part.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:  # a file system without locks: contents are checked all the same
        return True


def _write(store: Store, name: str, descriptor: int, part: Path, sha256: str | None, at: str) -> None:
    known: Known | None = store.known(name)
    if known is None:
        raise FileNotFoundError(f"{at}: no such file")
    _make_room(part.parent, known.size)
    for _ in range(_TRIES):
        found = hashlib.sha256()
        try:
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            for piece in _pieces(store, name):
                found.update(piece)
                _write_all(descriptor, piece)
            os.fsync(descriptor)
        except OSError as error:
            raise files.cannot_write(
                part, error, known.size, name=f"{part} (a copy of {at})", advice=ADVICE
            ) from error
        if sha256 is None or found.hexdigest() == sha256:
            return
        _log.warning("%s came with another content than its sha256 says: fetching it again", at)
    raise DamagedFile(f"{at}: its sha256 is {found.hexdigest()}, but {sha256} is recorded: make it again (--rebuild)")


def _pieces(store: Store, name: str) -> Iterator[bytes]:
    with store.open(name) as file:
        while piece := file.read(_PIECE):
            yield piece


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _make_room(kept: Path, size: int) -> None:
    """Removes the copies that weren't used for longest, until `size` more bytes fit."""
    text = os.environ.get(SIZE, str(_GIGABYTES))
    try:
        most = int(float(text) * 1e9)
    except ValueError:
        raise BadArgument(f"{SIZE}={text}: it must be a number of gigabytes, such as 100") from None
    copies = []
    for path in kept.iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            if _NAME.match(path.name):
                copies.append((status.st_mtime, status.st_size, path))
    total = sum(each[1] for each in copies)
    if total + size > most or free_bytes(kept) <= size:
        remove_unused(kept, _IN_USE)
    for used, bytes_, path in sorted(copies):
        if total + size <= most and free_bytes(kept) > size:
            return
        if time.time() - used < _IN_USE:
            return
        with contextlib.suppress(OSError):
            if path.stat().st_nlink > 1:  # in a folder that is read
                continue
            path.unlink()
            total -= bytes_
