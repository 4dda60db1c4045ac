"""What the optimizers share whose steps are in proportion to the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tamiz.trainer.optimizers.base import Optimizer

if TYPE_CHECKING:
    import torch


class ScaledOptimizer(Optimizer):
    """Builds one of `scaling.Scaled`."""

    def step_size(self, optimizer: torch.optim.Optimizer) -> float | None:
        return self.later(optimizer)()

    def later(self, optimizer: torch.optim.Optimizer) -> Callable[[], float | None]:
        from tamiz.trainer.optimizers.scaling import step_size

        scales = getattr(optimizer, "last_scales", [])
        return step_size(scales) if scales else lambda: None
