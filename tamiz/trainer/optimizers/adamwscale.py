"""nanoT5's AdamWScale: AdamW whose steps are in proportion to the weights, as Adafactor's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamiz.trainer.optimizers.base import Groups, Optimizer, Rates

if TYPE_CHECKING:
    import torch


class _AdamWScale(Optimizer):
    name = "adamwscale"

    def build(self, groups: Groups, settings: Rates, device: torch.device) -> torch.optim.Optimizer:  # noqa: ARG002
        from tamiz.trainer.optimizers.adamwscale_torch import AdamWScale

        return AdamWScale(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon)

    def step_size(self, optimizer: torch.optim.Optimizer) -> float | None:
        from tamiz.trainer.optimizers.scaling import Scaled

        return optimizer.step_size() if isinstance(optimizer, Scaled) else None


ADAMWSCALE = _AdamWScale()
