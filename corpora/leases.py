"""One machine at a time sends its work to a folder in a store, which has no locks: a file says which one.

The file is written again every few seconds. A run that finds another's looks whether it changes: clocks of two
machines needn't agree. If it changes, the run is refused; if it stays as it is, whoever wrote it was killed, and the
run takes its place. A machine that was cut off or asleep for that long finds another's file when it looks again, and
stops sending; a file that it is just sending then may still arrive.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from corpora import files
from corpora.errors import TamizError
from corpora.home import Home
from corpora.locks import SUFFIX, Holder, InUse

BEAT = 15.0  # seconds
PATIENCE = 90.0  # seconds without a change, after which whoever held the lease is taken for dead
_LOOK = 3.0
_READS, _PAUSE = 3, 0.2
_log = logging.getLogger(__name__)


class _Held(Holder):
    name: str = ""
    beats: int = 0


class Lease:
    """Of a folder in a store. ours: a local file with the name of the last lease that was taken from this disk."""

    def __init__(self, home: Home, command: str, ours: Path) -> None:
        self._home, self._ours = home, ours
        self._held = _Held(command, os.getpid(), socket.gethostname(), time.time(), uuid.uuid4().hex)
        self._one_at_a_time = threading.Lock()

    def take(self) -> None:
        """Raises InUse if another machine works there."""
        before = self._found()
        if before is not None and before.name != self._last_name():
            self._wait_for(before)
        if before is not None:
            self._home.remove(SUFFIX)
        files.write_bytes(self._ours, self._held.name.encode())  # first: what a kill between the two leaves is ours
        if not self._home.create(SUFFIX, msgspec.json.encode(self._held)):
            raise self._in_use(self._found())

    def check(self) -> None:
        """Raises InUse if another machine has taken our place; writes the file anew if it was removed."""
        with self._one_at_a_time:
            found = self._found()
            if found is not None and found.name != self._held.name:
                raise self._in_use(found, ", which took over while this machine was cut off")
            if found is None:
                self._home.create(SUFFIX, msgspec.json.encode(self._held))

    def keep(self, stop: threading.Event) -> None:
        """Shows that this run is alive until `stop` is set; if another machine has taken over, the process is told to
        end."""
        while not stop.wait(BEAT):
            try:
                self.check()
                self._held.beats += 1
                self._home.write_bytes(SUFFIX, msgspec.json.encode(self._held))
            except InUse as error:
                _log.error("%s", error)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except TamizError as error:
                _log.warning("%s; it is tried again", error)

    def end(self) -> None:
        """Gives it up, if it is still ours."""
        try:
            found = self._found()
            if found is not None and found.name == self._held.name:
                self._home.remove(SUFFIX)
        except TamizError as error:
            _log.warning("%s: the next run there waits for %.0f s", error, PATIENCE)

    def _wait_for(self, before: _Held) -> None:
        _log.warning(
            "%s: %s is at work there, or was killed: looking for %.0f s which it is", self._home, before, PATIENCE
        )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            time.sleep(_LOOK)
            now = self._found()
            if now is None:
                return
            if now != before:
                raise self._in_use(now)

    def _in_use(self, found: _Held | None, how: str = "") -> InUse:
        error = InUse()
        error.fact = f"{self._home} is in use by {found or 'another tamiz'}{how}"
        error.args = (f"{error.fact}: wait for it, or choose another --out",)
        return error

    def _found(self) -> _Held | None:
        for _ in range(_READS):  # where a file isn't replaced at once, as S3 does, it may be read half written
            try:
                return msgspec.json.decode(self._home.read_bytes(SUFFIX), type=_Held)
            except FileNotFoundError:
                return None
            except (msgspec.MsgspecError, UnicodeDecodeError):
                time.sleep(_PAUSE)
        return _Held("?", 0, "?", 0.0)

    def _last_name(self) -> str | None:
        try:
            return self._ours.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return None


@contextlib.contextmanager
def leased(home: Home, command: str, ours: Path) -> Iterator[Lease]:
    """Holds the lease of a folder in a store while the block runs.

    ours: see Lease; in a folder that this process has locked, so that whoever wrote it is gone, and isn't waited for.
    Raises InUse.
    """
    lease, stop = Lease(home, command, ours), threading.Event()
    lease.take()
    thread = threading.Thread(target=lease.keep, args=(stop,), daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        lease.end()
