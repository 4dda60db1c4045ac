"""nanoT5's AdamWScale for torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from tamiz.trainer.optimizers.scaling import SMALLEST, Scaled

MOST_WEIGHTS = 1 << 26  # that are updated at once: 268 MB for each array in between


class AdamWScale(Scaled):
    """Step t of a parameter p, where m and v are the running means of its gradient and of its square:

        p -= lr * sqrt(1 - beta2 ** t) / (1 - beta1 ** t) * max(1e-3, rms(p)) * m / (sqrt(v) + eps)
        p -= lr * weight_decay * p, with the plain rate, after

    As nanoT5's code has it, github.com/PiotrNawrot/nanoT5: eps is added before v's bias is corrected, unlike torch's
    AdamW.
    """

    def __init__(
        self, params: Any, lr: float, betas: tuple[float, float], eps: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient. Doesn't wait for the device. closure: not supported."""
        assert closure is None
        self.last_scales = []
        for group in self.param_groups:
            for parameters in _portions(p for p in group["params"] if p.grad is not None):
                self._update(parameters, group)

    def _update(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        states, skipped = [self._state(p) for p in parameters], self.skipped()
        gradients = [p.grad for p in parameters if p.grad is not None]  # all have one
        means, squares = [s["mean"] for s in states], [s["square"] for s in states]
        (beta1, beta2), rate = group["betas"], group["lr"]
        if skipped is not None:  # then zeros are added to the means, and nothing is taken from them
            for gradient in gradients:
                gradient.masked_fill_(skipped, 0.0)
        torch._foreach_mul_(means, _unless(skipped, beta1, 1.0))
        torch._foreach_add_(means, gradients, alpha=1.0 - beta1)
        torch._foreach_mul_(squares, _unless(skipped, beta2, 1.0))
        torch._foreach_addcmul_(squares, gradients, gradients, value=1.0 - beta2)
        below = torch._foreach_sqrt(squares)
        torch._foreach_add_(below, group["eps"])
        updates = torch._foreach_div(means, below)
        torch._foreach_mul_(updates, self._sizes(parameters, skipped, rate, beta1, beta2))
        torch._foreach_sub_(parameters, updates)
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, _unless(skipped, 1.0 - rate * group["weight_decay"], 1.0))

    def _state(self, parameter: torch.Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        return state

    def _sizes(
        self,
        parameters: list[torch.Tensor],
        skipped: torch.Tensor | None,
        rate: float,
        beta1: float,
        beta2: float,
    ) -> list[torch.Tensor]:
        """What each parameter's normalised mean is multiplied by: float32[] each; 0 where the step is skipped."""
        sizes = []
        numbers, norms = self.numbers(parameters), torch._foreach_norm(parameters)
        for parameter, number, norm in zip(parameters, numbers, norms, strict=True):
            its = (norm / parameter.numel() ** 0.5).clamp_(min=SMALLEST)
            self.remember(rate, parameter, its)
            seen = 1.0 - beta2**number
            root = math.sqrt(seen) if skipped is None else seen.sqrt()
            size = rate * (root / (1.0 - beta1**number))
            sizes.append(its * (size if skipped is None else size.masked_fill(skipped, 0.0).to(its.dtype)))
        return sizes


def _unless(skipped: torch.Tensor | None, value: float, else_value: float) -> float | torch.Tensor:
    """The value, unless the step is skipped: then the other one, and float32[] where the device knows."""
    return value if skipped is None else torch.where(skipped, else_value, value).float()


def _portions(parameters: Iterator[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Lists of parameters of at most MOST_WEIGHTS together, but at least one."""
    portion: list[torch.Tensor] = []
    for parameter in parameters:
        if portion and sum(p.numel() for p in (*portion, parameter)) > MOST_WEIGHTS:
            yield portion
            portion = []
        portion.append(parameter)
    if portion:
        yield portion
