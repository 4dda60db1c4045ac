"""The learning rate of each step."""

from __future__ import annotations

from tamiz.trainer.settings import TrainSettings


def learning_rate(step: int, settings: TrainSettings) -> float:
    """The rate at step 1, 2, ...: rises linearly from 0 over the first ramp_steps, then follows the schedule.

    inverse_sqrt: T5's 1 / sqrt(max(step, warmup_steps)), scaled to peak at settings.learning_rate.
    Source: arXiv:1910.10683 §3.1.2.
    """
    ramp = min(1.0, step / settings.ramp_steps) if settings.ramp_steps else 1.0
    if settings.schedule == "constant":
        return settings.learning_rate * ramp
    warmup = max(1, settings.warmup_steps)
    return settings.learning_rate * ramp * (warmup / max(step, warmup)) ** 0.5
