"""T5's Adafactor for torch. The rate comes from the training's schedule alone.

torch's own computes min(lr, 1 / sqrt(step)) itself, so that a schedule that falls would fall twice as fast, and its
bound on the denominator is the square of epsilon 1: T5's 1e-30 squared is 0 in float32, and an id that isn't in the
batch makes its row infinite. transformers' own compares scales on the host, one wait per parameter.
"""

from __future__ import annotations

from typing import Any

import torch

from tamiz.trainer.optimizers.scaling import Scaled, root_mean_square, scale

EPSILON = 1e-30  # added to squared gradients: epsilon 1. arXiv:1804.04235, Algorithm 5
CLIP_THRESHOLD = 1.0  # of the root mean square of an update: d. arXiv:1804.04235, Algorithm 5
DECAY = -0.8  # beta2 of step t is 1 - t ** DECAY. arXiv:1804.04235, Algorithm 5
FACTOR_FROM = 128  # smaller matrices aren't factored: mesh_tensorflow/optimize.py, min_dim_size_to_factor


class Adafactor(Scaled):
    """Step t of a parameter p with gradient g, where v is the running mean of g * g + EPSILON with beta2 of the step:

        update = g / sqrt(v);  update /= max(1, rms(update) / CLIP_THRESHOLD)
        p -= lr * max(1e-3, rms(p)) * (update + weight_decay * p)

    A matrix with at least factor_from rows and columns keeps v as the means of its rows and columns.
    arXiv:1804.04235, Algorithms 4 and 5, without momentum, as T5 uses it: arXiv:1910.10683 §3.1.2.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, factor_from: int = FACTOR_FROM) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self._factor_from = factor_from

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient. Doesn't wait for the device. closure: not supported."""
        assert closure is None
        self.last_scales = []
        skipped = self.skipped()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter, number in zip(parameters, self.numbers(parameters), strict=True):
                self._update(parameter, number**DECAY, skipped, group["lr"], group["weight_decay"])

    def _update(
        self, parameter: torch.Tensor, new: Any, skipped: torch.Tensor | None, rate: float, weight_decay: float
    ) -> None:
        """new: the share of this step in the means, a float or float64[]: 1 at the first, so that they need no
        initial value."""
        assert parameter.grad is not None
        update = self._normalised(self.state[parameter], parameter.grad, new, skipped)
        update.div_((root_mean_square(update) / CLIP_THRESHOLD).clamp_(min=1.0))
        its = scale(parameter)
        self.remember(rate, parameter, its)
        if weight_decay:
            update.add_(parameter, alpha=weight_decay)
        update.mul_(its * rate)
        parameter.sub_(update if skipped is None else update.masked_fill_(skipped, 0.0))

    def _normalised(
        self, state: dict[str, Any], gradient: torch.Tensor, new: Any, skipped: torch.Tensor | None
    ) -> torch.Tensor:
        """The gradient divided by the root of its mean square, which is updated first."""
        squared = gradient.square().add_(EPSILON)
        if gradient.ndim < 2 or min(gradient.shape[-2:]) < self._factor_from:
            return _mean(state, "square", squared, new, skipped).rsqrt().mul_(gradient)
        rows = _mean(state, "rows", squared.mean(dim=-1), new, skipped)
        columns = _mean(state, "columns", squared.mean(dim=-2), new, skipped)
        by_row = (rows / rows.mean(dim=-1, keepdim=True)).rsqrt_().unsqueeze(-1)
        return gradient.mul(by_row).mul_(columns.rsqrt().unsqueeze(-2))


def _mean(
    state: dict[str, Any], name: str, value: torch.Tensor, new: Any, skipped: torch.Tensor | None
) -> torch.Tensor:
    """The running mean in the state, after it took in the value with weight `new`, unless the step is skipped."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    mean: torch.Tensor = state[name]
    if skipped is None:
        return mean.mul_(1.0 - new).add_(value, alpha=new)
    return mean.copy_(torch.where(skipped, mean, mean * (1.0 - new) + value * new))
