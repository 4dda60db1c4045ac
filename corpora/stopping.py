"""^C ends a pass soon and always: the units at work look at a flag, in whichever thread they are.

Beam may run units in threads that never see a KeyboardInterrupt, wrap it in an error of its own, or lose it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any


class Stopped(Exception):
    """Ends the work on a unit whose run was interrupted."""


_flag: ContextVar[threading.Event | None] = ContextVar("_flag", default=None)  # of the run that a thread works for
_sign: ContextVar[Callable[[], None] | None] = ContextVar("_sign", default=None)
_outer: ContextVar[threading.Event | None] = ContextVar("_outer", default=None)  # of the block that this one is in


@contextlib.contextmanager
def working(stop: threading.Event, alive: Callable[[], None] | None = None) -> Iterator[None]:
    """The work in the block, in this thread, ends when `stop` is set: see `go_on`. alive: called by it, as a sign of
    progress."""
    before, sign = _flag.set(stop), _sign.set(alive)
    try:
        yield
    finally:
        _flag.reset(before)
        _sign.reset(sign)


def go_on() -> None:
    """Raises Stopped if the run that this thread works for was interrupted; a sign of progress. Cheap."""
    sign, stop = _sign.get(), _flag.get()
    if sign is not None:
        sign()
    if stop is not None and stop.is_set():
        raise Stopped


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Yields the event that ^C sets; the block ends in a KeyboardInterrupt then, whatever else it raises, or nothing.

    Blocks inside have the same event: one that begins after a lost ^C ends at once. Where ^C is ignored (nohup), it
    stays so.
    """
    outer = _outer.get()
    if outer is not None:
        if outer.is_set():
            raise KeyboardInterrupt
        yield outer
        return
    stop = threading.Event()
    before = _outer.set(stop)
    handler = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread() and callable(handler)

    def interrupt(number: int, frame: Any) -> None:
        stop.set()
        handler(number, frame)  # type: ignore  # it is callable: see `here`

    if here:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    except KeyboardInterrupt:
        stop.set()
        raise
    except Exception:
        if stop.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        _outer.reset(before)
        if here:
            signal.signal(signal.SIGINT, handler)
    if stop.is_set():
        raise KeyboardInterrupt


_left: list[bool] = []


def leave_behind() -> None:
    """Says that a thread of this process can't be ended: the command ends without waiting for it."""
    _left.append(True)


def left_behind() -> bool:
    return bool(_left)
