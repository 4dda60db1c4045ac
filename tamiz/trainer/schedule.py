"""The learning rate of each step."""

from __future__ import annotations

import math

from tamiz.trainer.settings import TrainSettings

ENDLESS = ("constant", "inverse_sqrt")  # a step's rate doesn't depend on the number of steps


def learning_rate(step: int, settings: TrainSettings) -> float:
    """The rate at step 1, 2, ...: rises linearly from 0 over the first ramp_steps, then follows the schedule.

    inverse_sqrt: T5's 1 / sqrt(max(step, warmup_steps)), scaled to peak at settings.learning_rate.
    Source: arXiv:1910.10683 §3.1.2. linear, cosine: stay at settings.learning_rate up to step warmup_steps, and would
    reach 0 at the step after the last.
    """
    ramp = min(1.0, step / settings.ramp_steps) if settings.ramp_steps else 1.0
    return settings.learning_rate * ramp * _share(step, settings)


def _share(step: int, settings: TrainSettings) -> float:
    """The rate as a share of the highest."""
    if settings.schedule == "constant":
        return 1.0
    warmup = max(1, settings.warmup_steps)
    if settings.schedule == "inverse_sqrt":
        return float((warmup / max(step, warmup)) ** 0.5)
    left = (settings.steps + 1 - step) / max(1, settings.steps + 1 - warmup)
    left = min(1.0, left)
    return left if settings.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
