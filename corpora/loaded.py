"""Objects that a process loads once and its threads share: models, encoders, tokenizers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from corpora.errors import TamizError

T = TypeVar("T")


class Loaded(Generic[T]):
    """The most recently used objects by key, at most `size` of them.

    A key must name the content (a sha256): a worker process outlives a run, and the next run may find another file at
    the same path. A load holds the lock, so that no two threads load the same object.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._objects: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The object of that key, loaded if it isn't there. If `load` raises, the next call loads again."""
        with self._lock:
            if key not in self._objects:
                self._keep(key, load())
            self._objects.move_to_end(key)
            return self._objects[key]

    def put(self, key: Hashable, value: T) -> None:
        """Adds an object that the caller has loaded."""
        with self._lock:
            self._keep(key, value)

    def _keep(self, key: Hashable, value: T) -> None:
        self._objects[key] = value
        self._objects.move_to_end(key)
        if len(self._objects) > self._size:
            self._objects.popitem(last=False)


def check_content(path: str | Path, found: str | None, expected: str | None) -> None:
    """Raises TamizError if a worker's file isn't the one that the run started with. Both are sha256."""
    if found != expected:
        raise TamizError(
            f"{path}: this worker's file has sha256 {_short(found)}, but the run started with {_short(expected)}: "
            "give every worker the same file"
        )


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else f"{sha256[:16]}…"
