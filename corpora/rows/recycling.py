"""Reuses the memory of batches that nothing refers to any more.

The system provides new memory page by page, at twice the cost of filling it with ids.
"""

from __future__ import annotations

import weakref

import numpy as np
import numpy.typing as npt

KEPT = 8  # the most free buffers per shape

Int64 = npt.NDArray[np.int64]


class Recycler:
    """Gives int64 arrays whose memory comes back when the last array, view or tensor that shares it is gone."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, ...], list[Int64]] = {}

    def empty(self, shape: tuple[int, ...]) -> Int64:
        """As np.empty, int64."""
        free = self._free.setdefault(shape, [])
        memory = free.pop() if free else np.empty(shape, np.int64)
        # Everything that shares the memory keeps this array alive: numpy would make views of a view refer to `memory`
        # itself, but doesn't look behind a memoryview.
        lent = np.asarray(memory.data)
        weakref.finalize(lent, _give_back, free, memory).atexit = False
        return lent


def _give_back(free: list[Int64], memory: Int64) -> None:
    if len(free) < KEPT:
        free.append(memory)
