"""What an optimizer is: one value that checks the settings and builds torch's object."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Groups = list[dict[str, Any]]
"""torch's parameter groups, each with `params` and `weight_decay`."""


class Rates(Protocol):
    """The settings of a training that an optimizer reads."""

    @property
    def learning_rate(self) -> float:
        """The highest rate of the schedule."""

    @property
    def betas(self) -> tuple[float, float]:
        """Decay rates for the mean and the square of the gradient."""

    @property
    def epsilon(self) -> float:
        """AdamW's epsilon."""


class Optimizer:
    """One optimizer. Only `name` and `build` must be given."""

    name: str
    """Its name in `train.optimizer`."""

    states: float = 2.0
    """Numbers that it keeps for each weight, at most: the size of a checkpoint."""

    def check(self, settings: Rates) -> None:
        """Raises ValueError for settings that don't apply to it, naming the fix."""

    def build(self, groups: Groups, settings: Rates, device: torch.device) -> torch.optim.Optimizer:
        """The optimizer of these parameters. Each step, the training sets `lr` of every group to the schedule's rate;
        nothing else may depend on the number of the step, but the optimizer's own means."""
        raise NotImplementedError(f"{type(self).__name__} must define `build`")

    def step_size(self, optimizer: torch.optim.Optimizer) -> float | None:  # noqa: ARG002
        """The learning rate in effect in the last step, where the optimizer scales it; None where it doesn't. May
        wait for the device."""
        return None

    def later(self, optimizer: torch.optim.Optimizer) -> Callable[[], float | None]:
        """`step_size` of the last step, for when the next one is already under way."""
        return partial(self.step_size, optimizer)
