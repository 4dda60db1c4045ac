"""What a stage takes while it runs: seconds and processor time by phase, memory, disk."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from corpora import usage
from tamiz.bars import phases_heard_by

SECONDS_BETWEEN_LOOKS = 0.1  # at the disk


class Measured(msgspec.Struct, kw_only=True):
    """One stage at one size. phases: name -> (seconds, seconds of processor time)."""

    stage: str
    size: str
    phases: dict[str, tuple[float, float]] = {}
    memory_before: int = 0
    memory_peak: int = 0
    memory_after: int = 0
    disk_bytes: int = 0
    disk_peak: int = 0
    files: int = 0
    quantities: dict[str, float] = {}
    left: float = 1.0
    """The share of the text that it leaves to later stages."""
    left_documents: float = 1.0
    """The share of the documents."""
    problem: str | None = None

    @property
    def seconds(self) -> float:
        return sum(seconds for seconds, _ in self.phases.values())

    @property
    def cpu_seconds(self) -> float:
        return sum(cpu for _, cpu in self.phases.values())


class _Phases:
    def __init__(self) -> None:
        self.taken: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        self._name, self._at = "", (time.monotonic(), usage.cpu_seconds())

    def begin(self, name: str) -> None:
        now = time.monotonic(), usage.cpu_seconds()
        seconds, cpu = self.taken[self._name]
        self.taken[self._name] = seconds + now[0] - self._at[0], cpu + now[1] - self._at[1]
        self._name, self._at = name, now


@contextmanager
def watched(into: Measured, folder: Path) -> Iterator[None]:
    """Measures the block. folder: where it writes."""
    into.memory_before = usage.resident_bytes()
    phases, stop, peak = _Phases(), threading.Event(), [0]

    def look() -> None:
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            peak[0] = max(peak[0], size_of(folder))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        with usage.Peak() as memory, phases_heard_by(phases.begin):
            yield
            phases.begin("")
    finally:
        stop.set()
        thread.join()
    into.phases = dict(phases.taken)
    into.memory_peak, into.memory_after = memory.bytes, usage.resident_bytes()
    into.disk_bytes = size_of(folder)
    into.disk_peak = max(peak[0], into.disk_bytes)
    into.files = sum(path.is_file() for path in folder.rglob("*"))


def size_of(folder: Path) -> int:
    """Bytes of the files in it; some may vanish meanwhile."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return found
