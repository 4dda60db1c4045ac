"""What a step gave: its loss, the norm of its gradient, and whether they are numbers. On a GPU it is read a step
late, so that the device never waits for the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from corpora.errors import TamizError
from tamiz.trainer.arriving import Arriving


class NotFinite(TamizError):
    """The loss or the gradient of a batch isn't finite: there was no update."""


class Outcome:
    """Of one step. Its numbers leave the device when it is made, and are waited for when it is read.

    losses: float32[] each, in nats, summed over the targets of a micro-batch. norm: float32[], of the gradient.
    count: the targets of the batch. total: adds the losses of all processes.
    """

    def __init__(
        self,
        losses: Sequence[torch.Tensor],
        norm: torch.Tensor,
        count: float,
        rate: float,
        total: Callable[[float], float] = lambda own: own,
    ) -> None:
        self._numbers = torch.stack([*losses, norm.to(losses[0].dtype)]).detach()
        self._count, self._rate, self._total = count, rate, total
        self.step_size: Callable[[], float | None] = lambda: None  # of the update, once it is made
        self._told: tuple[float, float] | None = None
        self._arriving = Arriving(self._numbers)

    def bad(self) -> torch.Tensor:
        """float32[] on the device: 1 if the loss or the norm isn't finite, else 0. Nobody waits for it."""
        return (~torch.isfinite(self._numbers).all()).to(torch.float32)

    def read(self) -> float:
        """The mean loss of the batch, over all processes. Raises NotFinite if it or the norm isn't finite."""
        total, norm = self._read()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise NotFinite(
                f"the loss is {total / self._count} and the norm of the gradient is {norm} at learning rate "
                f"{self._rate:.3g}: lower train.learning_rate, or set train.ramp_steps"
            )
        return total / self._count

    @property
    def norm(self) -> float:
        """Of the gradient, before it was scaled down."""
        return self._read()[1]

    def _read(self) -> tuple[float, float]:
        """The first time, all processes must do it together."""
        if self._told is None:
            *losses, norm = self._arriving.read()
            self._told = self._total(sum(losses, 0.0)), norm
        return self._told
