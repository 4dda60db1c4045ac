"""Steps in proportion to the weights: the rate of each parameter is multiplied by the root mean square of its
weights. Adafactor's "parameter scaling", arXiv:1804.04235 §8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tamiz.trainer.arriving import Arriving

SMALLEST = 1e-3  # epsilon 2: a parameter that is all zeros has a step, too. arXiv:1804.04235 §8, Algorithm 5


def root_mean_square(values: torch.Tensor) -> torch.Tensor:
    """float32[], on the device of the values."""
    return values.norm(2) / values.numel() ** 0.5


def scale(parameter: torch.Tensor) -> torch.Tensor:
    """float32[]: the root mean square of a parameter's weights, at least SMALLEST."""
    return root_mean_square(parameter).clamp(min=SMALLEST)


Scales = list[tuple[float, int, torch.Tensor]]
"""Rate, number of weights and scale of each parameter."""


class Scaled(torch.optim.Optimizer):
    """An optimizer that scales its steps, and remembers the scales of the last one. They aren't part of its state."""

    last_scales: Scales  # absent before the first step
    found_inf: torch.Tensor | None = None
    """float32[] on the device: where it is 1, the next step leaves weights and means as they are, as torch's fused
    optimizers do. None: there is nothing to find."""
    _step_supports_amp_scaling = True  # by which torch's are known

    def skipped(self) -> torch.Tensor | None:
        """bool[] on the device: whether this step leaves all as it is. None: it doesn't."""
        return None if self.found_inf is None else self.found_inf > 0

    def numbers(self, parameters: Sequence[torch.Tensor]) -> Sequence[Any]:
        """The number of this step for each parameter, from 1 on, which its state keeps. Where the device decides
        whether there is a step, it counts: float64[] each, one less if there is none."""
        if not parameters:
            return []
        states: list[dict[str, Any]] = [self.state[p] for p in parameters]
        if self.found_inf is None:
            for state in states:
                state["step"] = int(state.get("step", 0)) + 1
            return [state["step"] for state in states]
        for state, parameter in zip(states, parameters, strict=True):
            state["step"] = torch.as_tensor(state.get("step", 0), dtype=torch.float64, device=parameter.device)
        counts = [state["step"] for state in states]
        torch._foreach_add_(counts, 1.0 - self.found_inf.double(), alpha=1)  # alpha: else torch reads the number
        return torch.stack(counts).unbind()

    def remember(self, rate: float, parameter: torch.Tensor, its: torch.Tensor) -> None:
        """Called in `step` by all processes: where they share a parameter, its scale becomes each one's own here, so
        that one process alone may ask for the step size."""
        whole = getattr(its, "full_tensor", None)
        self.last_scales.append((rate, parameter.numel(), whole() if whole is not None else its))


def step_size(scales: Scales) -> Callable[[], float]:
    """The schedule's rate times the scale, as a mean over all weights. The scales leave the device now; the result
    waits for them."""
    its = Arriving(torch.stack([one for _, _, one in scales]))

    def mean() -> float:
        sizes = sum(rate * weights * one for (rate, weights, _), one in zip(scales, its.read(), strict=True))
        return sizes / sum(weights for _, weights, _ in scales)

    return mean
