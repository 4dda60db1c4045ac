"""Reports the progress of a training, line by line."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN_LINES = 10.0
_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"))


class Progress:
    """Reports the first step, the last step, and one step about every SECONDS_BETWEEN_LINES in between.

    The time left is estimated from all steps of this process but the first, which also starts torch's threads and
    kernels; it includes validations and checkpoints.
    """

    def __init__(
        self, report: Callable[[str], None], steps: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report, self._steps, self._clock = report, steps, clock
        self._last_line = clock()
        self._first: tuple[int, float] | None = None
        self._tokens = 0

    def step(
        self,
        step: int,
        loss: float,
        rate: float,
        tokens: int,
        step_size: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Call after each step, with the number of tokens in it.

        step_size: the rate in effect, which is only asked for where it is shown; None if it is `rate`.
        """
        self._tokens += tokens
        now = self._clock()
        is_first = self._first is None
        self._first = self._first or (step, now)
        if not is_first and step not in (1, self._steps) and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        speed = self._tokens / max(now - self._last_line, 1e-9)
        left = self._time_left(step, now)
        size = step_size()
        scaled = "" if size is None else f" (in effect {size:.2e})"
        self._report(
            f"step {step:,} of {self._steps:,}: loss {loss:.4f}, lr {rate:.2e}{scaled}, {speed:,.0f} tokens/s{left}"
        )
        self._last_line, self._tokens = now, 0

    def _time_left(self, step: int, now: float) -> str:
        assert self._first is not None
        first, then = self._first
        if step in (first, self._steps):
            return ""
        return f", {duration((now - then) / (step - first) * (self._steps - step))} left"


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    for size, name, smaller, smaller_name in _UNITS:
        if seconds >= size:
            rest = round(seconds % size / smaller)
            whole, rest = (int(seconds // size), rest) if rest * smaller < size else (int(seconds // size) + 1, 0)
            return f"{whole} {name} {rest} {smaller_name}" if rest else f"{whole} {name}"
    return f"{seconds / 60:.0f} min"
