"""Tells whoever waits that kernels are being compiled: it takes seconds, at their first use, once per cache folder.

`corpora.compiled` announces it; this module imports nothing, so that bars can listen without loading numba.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

Listener = Callable[[bool], None]

_listeners: list[Listener] = []
_running = 0
_counting = Lock()


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Calls `listener(True)` when a compilation begins, in any thread, and `listener(False)` when the last ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(begins: bool) -> None:
    """Called around each compilation; they may nest and overlap."""
    global _running
    with _counting:
        before, _running = _running, _running + (1 if begins else -1)
        changed = (before == 0) if begins else (_running == 0)
    if changed:
        for listener in tuple(_listeners):
            listener(begins)
