"""One machine at a time sends its work to a folder in a store, which has no locks: a file says which one.

The file is written again every few seconds. A run that finds another's looks whether it changes: clocks of two
machines needn't agree. If it changes, the run is refused; if it stays as it is, whoever wrote it was killed, and the
run takes its place. At its end, a run writes that it has ended, and leaves the file: a machine that was cut off or
asleep meanwhile finds that it has had a successor, whether that is still at work or not, and stops. What such a
machine is just sending may still arrive.
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
from types import FrameType
from typing import Any

import msgspec

from corpora import files
from corpora.errors import DamagedFile, TamizError, Unreachable
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
    ended: bool = False


_DAMAGED = _Held("", 0, "", 0.0)
_WAIT = "wait for it, or choose another --out"
_ALIVE = ("{} is in use by {}", _WAIT)
_TOOK_OVER = ("{} is in use by {}, which took over while this machine was cut off or asleep", _WAIT)
_HAS_ENDED = (
    "{} was in use by {} while this machine was cut off or asleep",
    "the same command continues from what that run left there",
)


class Lease:
    """Of a folder in a store. ours: a local file with the name of the last lease that was taken from this disk.

    lost: why this run must send nothing more.
    """

    def __init__(self, home: Home, command: str, ours: Path) -> None:
        self.lost: InUse | None = None
        self._home, self._ours = home, ours
        self._held = _Held(command, os.getpid(), socket.gethostname(), time.time(), uuid.uuid4().hex)
        self._taken, self._taking = False, threading.Lock()
        self._stop, self._writing, self._told = threading.Event(), threading.Lock(), False

    def take(self) -> None:
        """Raises InUse if another machine works there."""
        with self._taking:
            if self._taken:
                return
            try:
                self._take()
            except InUse as error:
                self.lost = error
                raise
            self._taken = True
            threading.Thread(target=self._keep, name="tamiz-lease", daemon=True).start()

    def _take(self) -> None:
        before = self._found()
        if before is not None and not before.ended and before.name != self._last_name():
            self._wait_for(before)
        files.write_bytes(self._ours, self._held.name.encode())  # first: what a kill between the two leaves is ours
        if before is not None:
            self._home.remove(SUFFIX)
        if not self._create():
            raise self._in_use(self._found(), _ALIVE)

    def check(self) -> None:
        """Takes the lease if that wasn't done. Raises InUse if another machine has taken our place, or had it."""
        self.take()
        if self.lost is None:
            found = self._found()
            if found is None and self._create():  # somebody has removed it
                return
            found = found or self._found()
            if found is None or found.name != self._held.name:
                self.lost = self._in_use(found, _HAS_ENDED if found and found.ended else _TOOK_OVER)
        if self.lost is not None:
            raise self.lost

    def tell(self) -> None:
        """Ends the work of this process, whose lease is lost."""
        if not self._told:
            self._told = True
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        """Shows no longer that the run is alive."""
        self._stop.set()

    def end(self) -> None:
        """Says that it has ended, if it is still ours. Raises Unreachable."""
        self.stop()
        found = self._found() if self._taken else None
        if found is not None and found.name == self._held.name:
            self._held.ended = True
            self._write()

    def _write(self) -> None:
        with self._writing:
            if not self._stop.is_set() or self._held.ended:
                self._home.write_bytes(SUFFIX, msgspec.json.encode(self._held))

    def _keep(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self.check()
                self._held.beats += 1
                self._write()
            except InUse:
                self.tell()
                return
            except TamizError as error:
                _log.warning("%s; it is tried again", error)

    def _wait_for(self, before: _Held) -> None:
        _log.warning(
            "%s: %s is at work there, or was killed: looking for %.0f s which it is", self._home, before, PATIENCE
        )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            time.sleep(_LOOK)
            now = self._found()
            if now is None or now.ended:
                return
            if now != before:
                raise self._in_use(now, _ALIVE)

    def _create(self) -> bool:
        return self._home.create(SUFFIX, msgspec.json.encode(self._held))

    def _in_use(self, found: _Held | None, said: tuple[str, str]) -> InUse:
        fact, advice = said
        error = InUse()
        error.fact = fact.format(self._home, found or _DAMAGED)
        error.args = (f"{error.fact}: {advice}",)
        return error

    def _found(self) -> _Held | None:
        for _ in range(_READS):  # where a file isn't replaced at once, as S3 does, it may be read half written
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, DamagedFile):
                try:
                    return msgspec.json.decode(self._home.read_bytes(SUFFIX), type=_Held)
                except FileNotFoundError:
                    return None
            time.sleep(_PAUSE)
        return _DAMAGED

    def _last_name(self) -> str | None:
        try:
            return self._ours.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return None


@contextlib.contextmanager
def leased(lease: Lease) -> Iterator[None]:
    """Ends a lease with the block, which may take it at once or later.

    If the lease was lost, raises InUse, whatever the block did. After ^C, or if the store couldn't be reached,
    nothing is sent any more: the next run, from another disk, then looks whether this one was killed.
    """
    before, raised = _on_sigterm(lease), False
    try:
        yield
    except (KeyboardInterrupt, Unreachable):
        lease.stop()
        raised = True
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        if lease.lost is not None:
            raise lease.lost
        if not raised:
            with contextlib.suppress(Unreachable):  # the next run then looks whether this one was killed
                lease.end()


def _on_sigterm(lease: Lease) -> Any:
    """In the main thread, SIGTERM raises InUse once the lease is lost; until then it does what it did before. (A
    training's steps have a handler of their own.) Returns the handler before; None where none is to be put back."""
    if threading.current_thread() is not threading.main_thread():
        return None
    before = signal.getsignal(signal.SIGTERM)
    if before in (signal.SIG_IGN, None):
        return None

    def ended(number: int, frame: FrameType | None) -> None:
        if lease.lost is not None:
            raise lease.lost
        if callable(before):
            before(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return signal.signal(signal.SIGTERM, ended)
