"""Times of steps, and what they cost: of any trainer that says when a step has ended."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import torch

from corpora.errors import TamizError
from tamiz.trainer.energy import JOULES_PER_KWH
from tamiz.trainer.energy_meter import EnergyMeter

Item = TypeVar("Item")


@dataclass(frozen=True)
class Timing:
    """Of the timed steps. seconds: of each step, on the GPU's clock if there is one. cpu_seconds: of all threads, and
    steps together. waiting: share of the time in which the host waited for the next batch, None if nobody counted; a
    GPU that still has work idles less. joules: None if nothing measures them. peak_memory: bytes, since the process
    began; on a GPU as torch counts. losses: of each step, where the trainer tells them."""

    seconds: list[float]
    wall: float
    cpu_seconds: float
    waiting: float | None
    joules: float | None
    joules_by: str
    peak_memory: int
    losses: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def asdict(self) -> dict[str, Any]:
        return {**asdict(self), "median": self.median}


class Stopwatch:
    """Call `step` after each step, from the first on; `timing` is of the steps after `warm_up` (at least 1) up to
    `steps`. Steps after those aren't looked at."""

    def __init__(self, device: torch.device, warm_up: int, steps: int, gpus: tuple[str, ...] = ()) -> None:
        self._device, self._warm_up, self._last, self._steps = device, warm_up, steps, 0
        self._marks: list[Any] = []
        self._energy = EnergyMeter(gpus=gpus)
        self._waited: float | None = None
        self._begun: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self._timing: Timing | None = None
        self.losses: list[float] = []

    def batches(self, given: Iterator[Item]) -> Iterator[Item]:
        """The same batches; counts how long each was waited for. Closing it closes what gives them."""
        self._waited = 0.0
        try:
            while True:
                begun = time.perf_counter()
                try:
                    batch = next(given)
                except StopIteration:
                    return
                self._waited += time.perf_counter() - begun
                yield batch
        finally:
            getattr(given, "close", lambda: None)()

    def step(self) -> None:
        self._steps += 1
        if not self._warm_up <= self._steps <= self._last:
            return
        if self._steps == self._warm_up:
            self._finish_work()
            self._energy.start()
            self._begun = time.perf_counter(), _cpu_seconds(), self._waited or 0.0
        self._marks.append(self._mark())
        if self._steps == self._last:
            self._finish_work()
            self._timing = self._measured()

    def timing(self) -> Timing:
        """Raises TamizError if the training ended before its last step."""
        if self._timing is None:
            raise TamizError(f"the training ended after {self._steps} of {self._last} steps")
        return replace(self._timing, losses=self.losses)

    def _measured(self) -> Timing:
        wall, cpu, waited = self._begun
        seconds, used = time.perf_counter() - wall, _cpu_seconds() - cpu
        energy = self._energy.stop()
        joules = energy.kwh * JOULES_PER_KWH if energy.kwh else None
        by = "" if joules is None else f"{energy.by}{', estimated' if energy.estimated else ''}"
        waiting = None if self._waited is None else (self._waited - waited) / seconds
        return Timing(self._intervals(), seconds, used, waiting, joules, by, self._peak(), [])

    def _mark(self) -> Any:
        """A moment: on a GPU an event of its stream, which nobody waits for."""
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _intervals(self) -> list[float]:
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self._device.type != "cuda":
            return [after - before for before, after in pairs]
        return [before.elapsed_time(after) / 1000 for before, after in pairs]

    def _finish_work(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _peak(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_seconds() -> float:
    """Of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
