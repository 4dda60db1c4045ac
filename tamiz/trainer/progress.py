"""Reports the progress of a training, line by line."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Reports the first step, the last step, and one step about every SECONDS_BETWEEN_LINES in between."""

    def __init__(self, report: Callable[[str], None], steps: int) -> None:
        self._report, self._steps = report, steps
        self._last_line = time.monotonic()
        self._tokens = 0

    def step(self, step: int, loss: float, rate: float, tokens: int) -> None:
        """Call after each step, with the number of tokens in it."""
        self._tokens += tokens
        now = time.monotonic()
        if step != 1 and step != self._steps and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        speed = self._tokens / max(now - self._last_line, 1e-9)
        self._report(f"step {step:,} of {self._steps:,}: loss {loss:.4f}, lr {rate:.2e}, {speed:,.0f} tokens/s")
        self._last_line, self._tokens = now, 0
