"""Lends fast encoders to threads: one per working thread, with one budget for the word caches of a process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

DEFAULT_CACHE = 96 << 20  # bytes: some 800,000 short words, for SentencePiece or GPT-2
_ALL_CACHES = 1 << 30  # bytes per process; beyond it, as with many languages or threads, new caches are smaller
_in_process: weakref.WeakSet[Any] = weakref.WeakSet()  # encoders with a cache, both for scoring and for shards

Cached = TypeVar("Cached")


class Lender(Generic[Cached]):
    """Threads may share one. make: an encoder for one thread, with a word cache of at most the given bytes."""

    def __init__(self, make: Callable[[int], Cached]) -> None:
        self._make = make
        self._free: list[Cached] = []
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[Cached]:
        """An encoder with its cache so far; kept for the next borrower unless the block fails."""
        with self._lock:
            encoder = self._free.pop() if self._free else None
        if encoder is None:
            encoder = self._make(min(DEFAULT_CACHE, _ALL_CACHES // (len(_in_process) + 1)))
            _in_process.add(encoder)
        yield encoder
        with self._lock:
            self._free.append(encoder)
