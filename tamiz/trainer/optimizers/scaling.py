"""Steps in proportion to the weights: the rate of each parameter is multiplied by the root mean square of its
weights. Adafactor's "parameter scaling", arXiv:1804.04235 §8."""

from __future__ import annotations

import torch

SMALLEST = 1e-3  # epsilon 2: a parameter that is all zeros has a step, too. arXiv:1804.04235 §8, Algorithm 5


def root_mean_square(values: torch.Tensor) -> torch.Tensor:
    """float32[], on the device of the values."""
    return values.norm(2) / values.numel() ** 0.5


def scale(parameter: torch.Tensor) -> torch.Tensor:
    """float32[]: the root mean square of a parameter's weights, at least SMALLEST."""
    return root_mean_square(parameter).clamp(min=SMALLEST)


class Scaled(torch.optim.Optimizer):
    """An optimizer that scales its steps, and remembers the scales of the last one. They aren't part of its state."""

    last_scales: list[tuple[float, int, torch.Tensor]]
    """Rate, number of weights and scale of each parameter."""

    def remember(self, rate: float, parameter: torch.Tensor, its: torch.Tensor) -> None:
        """Called in `step` by all processes: where they share a parameter, its scale becomes each one's own here, so
        that one process alone may ask for the step size."""
        whole = getattr(its, "full_tensor", None)
        self.last_scales.append((rate, parameter.numel(), whole() if whole is not None else its))

    def step_size(self) -> float | None:
        """The schedule's rate times the scale, as a mean over all weights, of the last step. None: no step yet. Waits
        for the device."""
        last = getattr(self, "last_scales", [])
        count = sum(weights for _, weights, _ in last)
        return sum(rate * weights * float(its) for rate, weights, its in last) / count if count else None
