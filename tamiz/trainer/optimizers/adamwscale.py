"""nanoT5's AdamWScale: AdamW whose steps are in proportion to the weights, as Adafactor's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamiz.trainer.optimizers.base import Groups, Rates
from tamiz.trainer.optimizers.scaled import ScaledOptimizer

if TYPE_CHECKING:
    import torch


class _AdamWScale(ScaledOptimizer):
    name = "adamwscale"

    def build(self, groups: Groups, settings: Rates, device: torch.device) -> torch.optim.Optimizer:  # noqa: ARG002
        from tamiz.trainer.optimizers.adamwscale_torch import AdamWScale

        return AdamWScale(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon)


ADAMWSCALE = _AdamWScale()
