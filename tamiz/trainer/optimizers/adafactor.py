"""T5's Adafactor: second moments kept as rows and columns, no momentum, steps in proportion to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamiz.trainer.optimizers.base import Groups, Rates
from tamiz.trainer.optimizers.scaled import ScaledOptimizer

if TYPE_CHECKING:
    import torch

_ADAMWS = {"betas": (0.9, 0.999), "epsilon": 1e-8}  # their defaults: a recipe that has others expects them to matter


class _Adafactor(ScaledOptimizer):
    name = "adafactor"
    states = 1.0  # of vectors and small matrices, which aren't factored; of large matrices much less

    def check(self, settings: Rates) -> None:
        for name, default in _ADAMWS.items():
            if getattr(settings, name) != default:
                raise ValueError(f"{name} does not apply to the optimizer adafactor: remove it")

    def build(self, groups: Groups, settings: Rates, device: torch.device) -> torch.optim.Optimizer:  # noqa: ARG002
        from tamiz.trainer.optimizers.adafactor_torch import Adafactor

        return Adafactor(groups, lr=settings.learning_rate)


ADAFACTOR = _Adafactor()
