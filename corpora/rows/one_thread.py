"""A thread that ends with its owner: closed, garbage-collected, or still open when the interpreter ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from weakref import finalize


class OneThread:
    """A pool of one thread; `close` shuts it down, at most once.

    When the interpreter ends, iterators still open are closed only after `concurrent.futures` has been torn down;
    a finalizer runs before that.
    """

    def __init__(self, name: str, begin: Callable[[], None] | None = None) -> None:
        """begin: called once at the start of the thread."""
        self.pool = ThreadPoolExecutor(1, name, begin)
        self.close = finalize(self, _shut_down, self.pool, os.getpid())


def _shut_down(pool: ThreadPoolExecutor, process: int) -> None:
    if process == os.getpid():  # a forked process has no thread to wait for
        pool.shutdown(cancel_futures=True)
