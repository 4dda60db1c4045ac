"""The thread that computes on a CPU, in which denormal numbers are 0: a CPU is slow with them.

Numbers nearer to 0 than 1.2e-38 take a CPU longer than others (28 times in a product of vectors, 200 times in one of
matrices, measured), and a T5 makes more of them the more it has learnt: its 26th step took twice as long as its
second (benchmarks/results/2026-11-30-training-step-2-cores.md). The CPU's flag for that belongs to a thread, and
torch's helpers keep the one of the thread that started them. In a thread of its own, a training has the same bits
whatever this process did before.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_LOOK = 0.2  # seconds


class Computing:
    """Runs what a training computes, one call after the other: on a CPU in a thread of its own, which ends with this
    object; on another device in the caller's.

    Python gives signals to the main thread alone: if an exception, as of a second ^C, reaches a caller that waits,
    the work ends at its next `check`.
    """

    def __init__(self, device: torch.device) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._given_up = False
        if device.type == "cpu":
            self._thread = ThreadPoolExecutor(1, "tamiz-computes", torch.set_flush_denormal, (True,))
            self._thread.submit(lambda: None).result()  # a signal while it starts would make a second thread

    def run(self, work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """What work(*given, **named) returns or raises. `work` mustn't call `run`."""
        if self._thread is None:
            return work(*given, **named)
        try:
            done = self._thread.submit(work, *given, **named)
            while not wait([done], timeout=_LOOK).done:
                pass  # a signal that came just before a wait is handled after it
            return done.result()
        except BaseException:
            self._given_up = True
            self._thread.submit(lambda: None).result()  # comes after the work
            raise
        finally:
            self._given_up = False

    def check(self) -> None:
        """Called by the work, here and there. Raises KeyboardInterrupt if nobody waits for it any more."""
        if self._given_up:
            raise KeyboardInterrupt
