"""Steps whose outcomes aren't read yet, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from tamiz.trainer.dataset import Batch
from tamiz.trainer.outcome import Outcome


class Taken(NamedTuple):
    """A step that the device was told to do. place: where its rows begin, for `BadBatches`."""

    step: int
    batch: Batch
    place: dict[str, Any]
    rate: float
    outcome: Outcome


class Awaited:
    """Hands each step to `record`, in their order, once its outcome may be read. record may raise, and may read."""

    def __init__(self, record: Callable[[Taken], None]) -> None:
        self._steps: deque[Taken] = deque()
        self._record = record

    def add(self, taken: Taken, *, late: bool) -> None:
        """late: this step is read after the next one; the first step never is, because it is checked."""
        self._steps.append(taken)
        self.read(but=1 if late and taken.step > 1 else 0)

    def read(self, but: int = 0) -> None:
        """All but the last `but` steps. Waits for the device."""
        while len(self._steps) > but:
            self._record(self._steps.popleft())
