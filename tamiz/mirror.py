"""A local folder for work that needs a disk, such as a training, while its output belongs to a store.

What the store has comes first; then files are sent as they are finished, every half minute (a training's checkpoints,
so that another machine continues from the last one sent), and at the end all of them. The manifest that claims the
folder goes first, the finished one last. One machine at a time: see `corpora.leases`. The folder is in this machine's
cache, by the store's address: the same command continues there, too, unless the store was written from elsewhere
meanwhile: then what the store has counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from corpora import files, manifest
from corpora.errors import DamagedFile, TamizError, Unreachable
from corpora.home import Home, Place
from corpora.leases import Lease, leased
from corpora.locks import InUse, locked
from corpora.stores import cache
from tamiz.console import say

SECONDS = 30.0
_log = logging.getLogger(__name__)


def folder_of(home: Home) -> Path:
    """The local folder of an output in a store."""
    digest = hashlib.sha256(home.address.encode()).hexdigest()[:16]
    return cache.folder() / "work" / digest / home.name


@contextlib.contextmanager
def worked_in(place: Place, command: str) -> Iterator[Path]:
    """A local folder to work in, for an output at any address: itself, or the one that is mirrored, which it says.

    command: what works there, for others that are refused.
    """
    home = Home.of(place)
    if home.is_local:
        yield home.folder
        return
    say(f"  in {folder_of(home)}, sent to {home} every {SECONDS:.0f} s and at the end")
    with mirrored(home, command) as folder:
        yield folder


@contextlib.contextmanager
def mirrored(home: Home, command: str) -> Iterator[Path]:
    """`folder_of(home)`, with what the store has; sent there while the block runs, and however it ends.

    Raises InUse if another process works there, on this machine or elsewhere.
    """
    folder = folder_of(home)
    lease = Lease(home, command, folder.parent / "lease")
    with locked(folder.parent, command), leased(lease):
        if not _has_finished(home):  # else there may be nothing to send
            lease.take()
        mirror = _Mirror(home, folder, lease)
        mirror.fetch()
        stop = threading.Event()
        thread = threading.Thread(target=mirror.keep_sending, args=(stop,), name="tamiz-mirror", daemon=True)
        thread.start()
        try:
            yield mirror.folder
        finally:
            stop.set()
            thread.join()
            mirror.finish()


def _has_finished(home: Home) -> bool:
    try:
        return manifest.read(home).finished
    except DamagedFile:
        return False


class _Sent(msgspec.Struct, frozen=True):
    """A file as it was when it was sent, here and there."""

    bytes: int
    mtime_ns: int
    there: str


class _Mirror:
    def __init__(self, home: Home, folder: Path, lease: Lease) -> None:
        self.folder = folder
        self._home, self._lease = home, lease
        self._list = folder.parent / "sent.json"
        self._sent: dict[str, _Sent] = {}
        self._failed: Exception | None = None  # of a last try, after the work has ended

    def fetch(self) -> None:
        """Leaves what is here if the store is as it was left from here; else it is replaced by what the store has."""
        there = {name: self._home.tag(name) for name in self._home.entries() if not _is_aside(name)}
        self._sent = self._recorded()
        if there != {name: sent.there for name, sent in self._sent.items()}:
            if self._sent:
                say(f"  {self._home} was written from elsewhere: what it has replaces {self.folder}")
            shutil.rmtree(self.folder, ignore_errors=True)
            self._sent = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(set(there) - set(self._sent)):
            path = self.folder / name
            with files.atomic_path(path) as temporary, self._home.open(name) as far, temporary.open("wb") as near:
                shutil.copyfileobj(far, near, 1 << 23)
            self._sent[name] = _state(path, there[name])
        self._record()

    def keep_sending(self, stop: threading.Event) -> None:
        while not stop.wait(SECONDS):
            try:
                self.send(last=False)
            except InUse:
                self._lease.tell()
                return
            except (TamizError, OSError) as error:  # OSError: a folder that goes while it is listed
                self._failed = error if stop.is_set() else None
                _log.warning("%s; it is tried again", error)

    def finish(self) -> None:
        """Sends all, unless the store couldn't be reached just now."""
        if isinstance(self._failed, Unreachable):
            raise self._failed
        self.send(last=True)

    def send(self, *, last: bool) -> None:
        """Sends what is new and removes what is gone. last: finished manifests, too, after all else."""
        here = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        here = {name: path for name, path in here.items() if not _is_aside(name)}
        for name in sorted(here, key=lambda name: _turn(name, here[name])):
            with contextlib.suppress(FileNotFoundError):  # a checkpoint that was replaced meanwhile
                self._send(name, here[name], last=last)
        for name in set(self._sent) - set(here):
            self._lease.check()
            self._home.remove(name)
            del self._sent[name]
            self._record()

    def _send(self, name: str, path: Path, *, last: bool) -> None:
        state, before = _state(path, ""), self._sent.get(name)
        if before is not None and msgspec.structs.replace(before, there="") == state:
            return
        self._lease.check()
        if _is_manifest(name):
            data = path.read_bytes()  # once: it may be finished between a look and its sending
            if _is_finished(data) and not last:
                return
            self._home.write_bytes(name, data)
        else:
            self._home.send(name, path)
        self._sent[name] = msgspec.structs.replace(state, there=self._home.tag(name))
        self._record()  # at once: a kill between the two costs what is only here

    def _recorded(self) -> dict[str, _Sent]:
        """What was sent last; empty if that isn't known, or isn't here any more."""
        if not self.folder.is_dir():
            return {}
        try:
            return msgspec.json.decode(self._list.read_bytes(), type=dict[str, _Sent])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def _record(self) -> None:
        files.write_bytes(self._list, msgspec.json.encode(self._sent))


def _state(path: Path, there: str) -> _Sent:
    status = path.stat()
    return _Sent(status.st_size, status.st_mtime_ns, there)


def _turn(name: str, path: Path) -> tuple[int, int, str]:
    """Manifests that claim a folder come first, finished ones last, the outer ones after the inner ones."""
    if not _is_manifest(name):
        return 1, 0, name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    return (2, -name.count("/"), name) if _is_finished(data) else (0, name.count("/"), name)


def _is_manifest(name: str) -> bool:
    return name.rpartition("/")[2] == manifest.NAME


class _Said(msgspec.Struct):
    finished: bool


def _is_finished(data: bytes) -> bool:
    """Whether a manifest is finished, or can't be read, so that nobody should trust it early."""
    try:
        return msgspec.json.decode(data, type=_Said).finished
    except msgspec.MsgspecError:
        return True


def _is_aside(name: str) -> bool:
    """Whether it is no part of the output: the log goes to the store by itself."""
    return manifest.is_aside(name) or files.TEMPORARY.search(name) is not None
