"""Watches the units at work in this process: one that makes no progress is told of, or ends the process.

Time is counted in ticks of this process, so that one that was itself stopped for an hour doesn't take its units for
dead. A worker process also leaves beats for the run that waits for it, and is ended by faulthandler where its
interpreter is blocked.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from corpora.errors import TamizError
from pipelines.isolated import minutes
from pipelines.notes import Desk

_TICK = 0.5
_STANDS = 70  # exit code of a worker process in which a unit stands still


@dataclass(eq=False)
class _AtWork:
    name: str
    stall: float
    stands: Callable[[str], None]
    desk: Desk | None
    seen: float
    told: bool = False


@dataclass
class Watch:
    """One a process: `watch` below."""

    clock: float = 0.0
    """Seconds that this process ran."""
    moves: int = 0
    """Signs of progress so far."""
    _units: set[_AtWork] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None
    _beaten: dict[Desk, tuple[float, int]] = field(default_factory=dict)
    _armed: float | None = None

    @contextlib.contextmanager
    def over(
        self, name: str, stall: float, stands: Callable[[str], None], desk: Desk | None = None
    ) -> Iterator[Callable[[], None]]:
        """Watches the block; yields the function that it calls as a sign of progress.

        stands: called once, with a sentence, when there is none for `stall` seconds. desk: where beats are left.
        """
        unit = _AtWork(name, stall, stands, desk, self.clock)

        def alive() -> None:
            self.moves += 1
            unit.seen = self.clock

        with self._lock:
            self._units.add(unit)
            self.moves += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tamiz-watch", daemon=True)
                self._thread.start()
        try:
            yield alive
        finally:
            with self._lock:
                self._units.discard(unit)
                self.moves += 1

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(_TICK)
            now = time.monotonic()
            self.clock += min(now - last, 2 * _TICK)
            last = now
            with self._lock:
                units = list(self._units)
            self._look(units)

    def _look(self, units: list[_AtWork]) -> None:
        for unit in units:
            if self.clock - unit.seen > unit.stall and not unit.told:
                unit.told = True
                unit.stands(f"{unit.name} made no progress for {minutes(unit.stall)}")
        watched = [unit for unit in units if unit.desk is not None]
        for unit in watched:
            self._beat(unit)
        self._arm(watched)

    def _beat(self, unit: _AtWork) -> None:
        """Changes the size of a small file: a listing shows it. None is left after the run."""
        assert unit.desk is not None
        at, number = self._beaten.get(unit.desk, (-60.0, 0))
        if self.clock - at < min(60.0, unit.stall / 10):
            return
        self._beaten[unit.desk] = self.clock, number + 1
        name = f"{unit.desk.run}/beats/{socket.gethostname()}-{os.getpid()}"
        with contextlib.suppress(TamizError, OSError):  # a beat that is lost: the next one comes
            if unit.desk.is_open:
                unit.desk.home.write_bytes(name, b"." * (number % 60 + 1))

    def _arm(self, watched: list[_AtWork]) -> None:
        if not watched:
            if self._armed is not None:
                faulthandler.cancel_dump_traceback_later()
            self._armed = None
            return
        stall = min(unit.stall for unit in watched)
        if self._armed is None or self.clock - self._armed > stall / 4:
            faulthandler.dump_traceback_later(1.5 * stall, exit=True, file=sys.__stderr__ or sys.stderr)
            self._armed = self.clock


watch = Watch()


def end_process(said: str) -> None:
    """Of a worker process: its engine, or the run that waits for it, tries the unit again."""
    print(f"tamiz: {said}: this worker ends", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
    os._exit(_STANDS)


def is_worker() -> bool:
    """Whether this process was started by Beam to work for others."""
    return any("apache_beam.runners.worker.sdk_worker" in argument for argument in sys.orig_argv)


def free_stdout() -> None:
    """Lets a worker's output go where its errors go: a worker pool reads no output, so a megabyte would block it."""
    if is_worker():
        sys.stdout.flush()
        os.dup2(2, 1)
