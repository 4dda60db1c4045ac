"""Signals that ask a training to stop: it ends its step and saves its state first."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from corpora.errors import TamizError

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SAID = b"\nstopping: this step is finished and saved first; a second signal (^C) stops at once\n"


class Stopped(TamizError):
    """A signal stopped the training; the same command continues it. exit_code: 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class StopSignals:
    """Within the block, the first signal only sets `received`; from then on signals do what they did before.

    Signals that are ignored stay ignored (nohup). Does nothing outside the main thread, which alone gets signals.
    says: whether a line says that the training will stop; of several processes, one says it.
    """

    def __init__(self, *, says: bool = True) -> None:
        self.received: int | None = None
        self._says = says
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _first(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()
        if self._says:
            os.write(2, _SAID)  # print could be in the middle of a line of its own

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
