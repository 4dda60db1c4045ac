"""A local folder for stages that work on a disk, such as a training, while their output belongs to a store.

What the store has comes first; then files are sent as they are finished, every half minute (a training's checkpoints,
so that another machine continues from the last one sent), and at the end all of them, the manifest last. The folder
is in this machine's cache, by the store's address: the same command continues there, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from corpora import files, locks, manifest
from corpora.errors import TamizError
from corpora.home import Home
from corpora.stores import cache

SECONDS = 30.0
_log = logging.getLogger(__name__)


def folder_of(home: Home) -> Path:
    """The local folder of an output in a store."""
    digest = hashlib.sha256(home.address.encode()).hexdigest()[:16]
    return cache.folder() / "work" / digest / home.name


@contextlib.contextmanager
def mirrored(home: Home) -> Iterator[Path]:
    """`folder_of(home)`, with what the store has; sent there while the block runs, and however it ends."""
    mirror = _Mirror(home, folder_of(home))
    mirror.fetch()
    stop = threading.Event()
    thread = threading.Thread(target=mirror.keep_sending, args=(stop,), daemon=True)
    thread.start()
    try:
        yield mirror.folder
    finally:
        stop.set()
        thread.join()
        mirror.send(last=True)


class _Mirror:
    def __init__(self, home: Home, folder: Path) -> None:
        self.folder = folder
        self._home = home
        self._sent: dict[str, tuple[int, int]] = {}  # name -> size and mtime of what the store has

    def fetch(self) -> None:
        """Copies what is there and not here. Of what is here, the newer one is here: it was sent from here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, size in self._home.entries().items():
            path = self.folder / name
            if not path.exists():
                with files.atomic_path(path) as temporary, self._home.open(name) as far, temporary.open("wb") as near:
                    shutil.copyfileobj(far, near, 1 << 23)
            if path.stat().st_size == size:
                self._sent[name] = _state(path)

    def keep_sending(self, stop: threading.Event) -> None:
        while not stop.wait(SECONDS):
            try:
                self.send(last=False)
            except TamizError as error:
                _log.warning("%s; it is tried again", error)

    def send(self, *, last: bool) -> None:
        """Sends what is new and removes what is gone. last: manifests, too, after all else."""
        here = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        here = {name: path for name, path in here.items() if not _is_aside(name)}
        for name in sorted(here, key=lambda name: (name.rpartition("/")[2] == manifest.NAME, -name.count("/"), name)):
            if name.rpartition("/")[2] == manifest.NAME and not last:
                continue
            with contextlib.suppress(FileNotFoundError):  # a checkpoint that was replaced meanwhile
                state = _state(here[name])
                if self._sent.get(name) != state:
                    self._home.send(name, here[name])
                    self._sent[name] = state
        for name in set(self._sent) - set(here):
            self._home.remove(name)
            del self._sent[name]


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _is_aside(name: str) -> bool:
    return locks.is_lock(name) or files.TEMPORARY.search(name) is not None
