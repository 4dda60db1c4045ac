"""Memory of batches that nobody uses any more, for the next ones.

The system gives fresh memory page by page, at twice the cost of filling it with ids.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch

KEPT = 8  # free buffers of a shape, at most


class Recycler:
    """Gives int64 tensors whose memory comes back when the last tensor, view or array that shares it is gone."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, ...], list[np.ndarray]] = {}

    def empty(self, shape: tuple[int, ...]) -> torch.Tensor:
        """As torch.empty, int64, on the CPU."""
        free = self._free.setdefault(shape, [])
        memory = free.pop() if free else np.empty(shape, np.int64)
        lent = memory[...]  # an array of its own, which the tensor's storage holds
        weakref.finalize(lent, _give_back, free, memory).atexit = False
        return torch.from_numpy(lent)


def _give_back(free: list[np.ndarray], memory: np.ndarray) -> None:
    if len(free) < KEPT:
        free.append(memory)
