"""Batches on their way to the device: on a GPU through pinned memory and a stream of their own, so that a copy and
the step before it go on at the same time."""

from __future__ import annotations

from typing import Any

import torch

from tamiz.trainer.dataset import Batch


class Staging:
    """Two sets of pinned memory take turns: a batch is written while the one before it may still be copied. On a CPU,
    batches stay as they are."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._turn = device, 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pinned: tuple[Batch, Batch] = ({}, {})
        self._copied: list[Any] = [None, None]  # an event for each set

    def on_device(self, prepared: Batch) -> Batch:
        """The batch on the device. What the current stream does next, waits for the copy; the host doesn't."""
        if self._stream is None:
            return prepared
        turn, self._turn = self._turn, 1 - self._turn
        if self._copied[turn] is not None:
            self._copied[turn].synchronize()  # two batches ago: done long since
        current = torch.cuda.current_stream(self._device)
        moved = {}
        with torch.cuda.stream(self._stream):
            for name, tensor in prepared.items():
                moved[name] = self._written(turn, name, tensor).to(self._device, non_blocking=True)
                moved[name].record_stream(current)
            self._copied[turn] = torch.cuda.Event()
            self._copied[turn].record(self._stream)
        current.wait_stream(self._stream)
        return moved

    def _written(self, turn: int, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor in pinned memory, which is used again for tensors of the same shape."""
        kept = self._pinned[turn].get(name)
        if kept is None or kept.shape != tensor.shape or kept.dtype != tensor.dtype:
            kept = self._pinned[turn][name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return kept.copy_(tensor)
