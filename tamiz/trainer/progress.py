"""Reports the progress of a training, line by line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

SECONDS_BETWEEN_LINES = 10.0
_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"))


class Shown(NamedTuple):
    """speed: tokens per second since the line before, with validations and checkpoints. rate: the one in effect,
    where it isn't the schedule's."""

    speed: float
    rate: float | None


class Due(NamedTuple):
    """What comes next beside steps, such as a validation, and after which step."""

    name: str
    step: int


class Progress:
    """Reports the first step, the last step, and one step about every SECONDS_BETWEEN_LINES in between.

    The time left is estimated from all steps of this process but the first, which also starts torch's threads and
    kernels; it includes validations and checkpoints. Lines are shorter where `width` characters don't hold more.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        steps: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        width: int = 118,
    ) -> None:
        self._report, self._steps, self._clock, self._width = report, steps, clock, width
        self._last_line = clock()
        self._first: tuple[int, float] | None = None
        self._step = self._tokens = 0

    def step(
        self,
        step: int,
        loss: float,
        rate: float,
        tokens: int,
        step_size: Callable[[], float | None] = lambda: None,
        due: Due | None = None,
    ) -> Shown | None:
        """Call after each step, with the number of tokens in it. Returns what a line was made of; None without one.

        step_size: the rate in effect, which is only asked for where it is shown; None if it is `rate`.
        """
        self._tokens += tokens
        now = self._clock()
        self._step = step
        is_first = self._first is None
        self._first = self._first or (step, now)
        if not is_first and step not in (1, self._steps) and now - self._last_line < SECONDS_BETWEEN_LINES:
            return None
        shown = Shown(self._tokens / max(now - self._last_line, 1e-9), step_size())
        self._report(self._line(step, loss, rate, shown, now, due))
        self._last_line, self._tokens = now, 0
        return shown

    def _line(self, step: int, loss: float, rate: float, shown: Shown, now: float, due: Due | None) -> str:
        """The longest of several forms that has room."""
        of = f"step {step:,} of {self._steps:,}: loss {loss:.4f}, lr {rate:.2e}"
        scaled = "" if shown.rate is None else f" (in effect {shown.rate:.2e})"
        speed, left = f", {shown.speed:,.0f} tokens/s", self._until(self._steps, now, "{} left")
        more = self._until(due.step, now, f"{due.name} in {{}}") if due and due.step < self._steps else ""
        forms = (
            f"{of}{scaled}{speed}{left}{more}",
            f"{of}{scaled}{speed}{left}",
            f"{of}{speed}{left}",
            f"{of}, {_short(shown.speed)}/s{left}",
        )
        return next((form for form in forms if len(form) <= self._width), forms[-1])

    def _until(self, later: int, now: float, text: str) -> str:
        """text: with the time until the end of a later step, as far as it is known."""
        assert self._first is not None
        (first, then), step = self._first, self._step
        if step in (first, later):
            return ""
        return ", " + text.format(duration((now - then) / (step - first) * (later - step)))


def _short(number: float) -> str:
    """412, 9.6k, 412k, 3.1M."""
    for size, name in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.{0 if number >= 10 * size else 1}f}{name}"
    return f"{number:.0f}"


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
