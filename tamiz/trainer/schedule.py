"""The learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

ENDLESS = ("constant", "inverse_sqrt")  # a step's rate doesn't depend on the number of steps


class Schedule(Protocol):
    """The settings of a training that decide its rates."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def ramp_steps(self) -> int: ...
    @property
    def ramp_from(self) -> float: ...
    @property
    def final_learning_rate(self) -> float: ...
    @property
    def schedule_steps(self) -> int | None: ...


def is_endless(plain: Mapping[str, Any]) -> bool:
    """Whether a step's rate doesn't depend on the number of steps, so that a training can have more.

    plain: the settings of a training as plain data; keys that are missing have their defaults.
    """
    return plain.get("schedule") in ENDLESS or plain.get("schedule_steps") is not None


def check_schedule(settings: Schedule) -> None:
    """Raises ValueError for settings that the schedule doesn't have, or that are out of bounds."""
    ends, lowest, horizon = settings.schedule not in ENDLESS, settings.final_learning_rate, settings.schedule_steps
    if not 0.0 <= settings.ramp_from < 1.0:
        raise ValueError(f"ramp_from is {settings.ramp_from}; it must be at least 0 and below 1")
    if settings.ramp_from and not settings.ramp_steps:
        raise ValueError(
            f"ramp_from is {settings.ramp_from}, but ramp_steps is 0: set ramp_steps, or remove ramp_from"
        )
    if not 0.0 <= lowest <= settings.learning_rate:
        raise ValueError(
            f"final_learning_rate is {lowest}; it must be from 0 to learning_rate ({settings.learning_rate})"
        )
    if not ends and (lowest or horizon is not None):
        name = "final_learning_rate" if lowest else "schedule_steps"
        raise ValueError(f"{name} is for the schedules linear and cosine, not {settings.schedule}: remove it")
    if horizon is not None and horizon <= settings.warmup_steps:
        raise ValueError(f"schedule_steps is {horizon}; it must be more than warmup_steps ({settings.warmup_steps})")


def learning_rate(step: int, settings: Schedule) -> float:
    """The rate at step 1, 2, ...: rises linearly from ramp_from (a share) over the first ramp_steps, then follows the
    schedule.

    inverse_sqrt: T5's 1 / sqrt(max(step, warmup_steps)), scaled to peak at settings.learning_rate.
    Source: arXiv:1910.10683 §3.1.2. linear, cosine: stay at settings.learning_rate up to step warmup_steps, and would
    reach final_learning_rate at the step after the last (of schedule_steps, if given). With ramp_steps equal to
    warmup_steps and no final rate, cosine at step n is transformers' get_cosine_schedule_with_warmup at its step n of
    steps + 1, whose step 0 has the rate 0.
    """
    lowest = settings.final_learning_rate
    ramp = 1.0
    if settings.ramp_steps:
        ramp = min(1.0, settings.ramp_from + (1.0 - settings.ramp_from) * step / settings.ramp_steps)
    share = _share(step, settings)
    if not lowest:
        return settings.learning_rate * ramp * share
    return ramp * (lowest * (1.0 - share) + settings.learning_rate * share)


def rising_line(settings: Schedule) -> str | None:
    """What to say of a training whose rate still rises at its last step; None if it doesn't."""
    last, before = learning_rate(settings.steps, settings), learning_rate(settings.steps - 1, settings)
    if settings.ramp_steps <= 1 or last <= before:
        return None
    return (
        f"the learning rate rises until the last step: train.ramp_steps is {settings.ramp_steps:,}, and train.steps "
        f"{settings.steps:,}; it ends at {last:.3g} of {settings.learning_rate:.3g}: set ramp_steps below steps"
    )


def _share(step: int, settings: Schedule) -> float:
    """The rate as a share of the way from the lowest to the highest."""
    if settings.schedule == "constant":
        return 1.0
    warmup = max(1, settings.warmup_steps)
    if settings.schedule == "inverse_sqrt":
        return float((warmup / max(step, warmup)) ** 0.5)
    last = settings.schedule_steps or settings.steps
    left = (last + 1 - step) / max(1, last + 1 - warmup)
    left = min(1.0, max(0.0, left))
    return left if settings.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
