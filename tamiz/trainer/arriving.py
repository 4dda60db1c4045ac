"""Numbers on their way from a device."""

from __future__ import annotations

import torch


class Arriving:
    """Numbers that leave the device when this is made, and are waited for when they are read.

    numbers: any[n], which must not change any more.
    """

    def __init__(self, numbers: torch.Tensor) -> None:
        self._copied: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._host.copy_(numbers, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()
        else:
            self._host = numbers

    def read(self) -> list[float]:
        if self._copied is not None:
            self._copied.synchronize()
        found: list[float] = self._host.tolist()
        return found
