"""Makes batches ahead of their use, in one thread."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

from corpora.errors import TamizError
from corpora.rows.one_thread import OneThread

Key = TypeVar("Key")
Value = TypeVar("Value")


class Prefetcher(Generic[Key, Value]):
    """Computes make(key) for one key after another, each while earlier values are in use.

    A context manager. Each task is short and never waits for the caller, so neither leaving the block nor the end of
    the interpreter hangs. `get` raises whatever `make` raises.

    make: called by one thread only. after: gives the next key. depth: the most results made ahead; 0 for no thread.
    begin: called once at the start of the thread.
    """

    def __init__(
        self, make: Callable[[Key], Value], after: Callable[[Key], Key], depth: int, begin: Callable[[], None]
    ) -> None:
        self._make, self._after, self._depth = make, after, depth
        self._thread = OneThread("tamiz-batches", begin) if depth else None
        self._begun: deque[tuple[Key, Future[Value]]] = deque()
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread is not None:
            self._thread.close()
        self._begun.clear()

    def get(self, key: Key) -> Value:
        """The value of a key; starts the keys after it. With an unexpected key, prefetching restarts there."""
        if self._thread is None:
            return self._make(key)
        if self._process != os.getpid():
            raise TamizError("these batches belong to the parent process: start a new iteration in this one")
        if not self._begun or self._begun[0][0] != key:
            self._drop()
            self._begin(self._thread.pool, key)
        _, wanted = self._begun.popleft()
        while len(self._begun) < self._depth:
            self._begin(self._thread.pool, self._after(self._begun[-1][0] if self._begun else key))
        return wanted.result()

    def _begin(self, pool: ThreadPoolExecutor, key: Key) -> None:
        self._begun.append((key, pool.submit(self._make, key)))

    def _drop(self) -> None:
        for _, future in self._begun:
            future.cancel()
        self._begun.clear()
