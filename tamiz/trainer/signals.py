"""Signals that ask a training to stop: it ends its step and saves its state first."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from corpora.errors import TamizError
from tamiz.trainer.ranks import Ranks

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SAID = b"\nstopping: this step is finished and saved first"
_AGAIN = b"; a second signal (^C) stops at once"


class Stopped(TamizError):
    """A signal stopped the training; the same command continues it. exit_code: 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Paused(TamizError):
    """The time for this run is used up; the same command continues the training. No failure."""

    exit_code = 0


class StopSignals:
    """Within the block, the first signal only sets `received`; from then on signals do what they did before. One of
    several processes keeps to the first: a second one may come from torchrun, which ends what takes too long.

    Signals that are ignored stay ignored (nohup). Does nothing outside the main thread, which alone gets signals.
    ranks: the processes of the training; the first one says that it will stop.
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self.received: int | None = None
        self._ranks = ranks or Ranks()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._first)
            self._ranks.catches_signals = bool(self._before)
        return self

    def __exit__(self, *_: object) -> None:
        self._ranks.catches_signals = False
        self._restore()

    def _first(self, number: int, _: FrameType | None) -> None:
        again = self.received is not None
        self.received = self.received or number
        if self._ranks.alone:
            self._restore()
        if self._ranks.first and not again:
            # print could be in the middle of a line of its own
            os.write(2, _SAID + (_AGAIN if self._ranks.alone else b"") + b"\n")

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
