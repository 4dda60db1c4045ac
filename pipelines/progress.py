"""How far a pass is, by the notes in its home: on a disk in the folders that changed, on a store in a listing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from corpora.documents.item import WorkItem
from corpora.documents.joined import JoinedPart
from pipelines.notes import GROUP, Desk, Unit

Progress = Callable[[int, int], None]  # bytes done, total bytes
_STORE_PAUSE = 5.0  # seconds between two listings of a store, at least
_SHARE = 20  # of the time, at most 1/20 is spent on listing


def size_of(unit: Unit) -> int:
    """The weight of a unit in the progress: its bytes, or almost nothing for a part or a few row groups."""
    if isinstance(unit, JoinedPart):
        return max(unit.bytes, 1)
    return max(unit.end - unit.start, 1) if isinstance(unit, WorkItem) else 1


class Counted:
    """Counts the notes of a pass by groups of 1,000 units, so that nothing here grows with single units."""

    def __init__(self, desk: Desk, units: Sequence[Unit]) -> None:
        self._desk = desk
        self._expected: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        for unit in units:
            self._expected[unit.number // GROUP] += 1
            self._bytes[unit.number // GROUP] += size_of(unit)
        self._found: Counter[int] = Counter()
        self._changed: dict[int, int] = {}
        self._next = 0.0
        self.state: object = None
        """Differs whenever a unit or a worker has moved."""

    @property
    def total(self) -> int:
        return sum(self._bytes.values())

    @property
    def done(self) -> int:
        """Bytes, estimated within groups."""
        return sum(
            self._bytes[group] * min(found, self._expected[group]) // self._expected[group]
            for group, found in self._found.items()
            if group in self._expected
        )

    def look(self) -> bool:
        """Counts again, on a store only now and then: False if it wasn't time."""
        if self._desk.home.is_local:
            self._look_at_folders()
            beats = self._desk.names("beats")
        elif time.monotonic() < self._next:
            return False
        else:
            begun = time.monotonic()
            beats = self._look_at_listing()
            self._next = time.monotonic() + max(_STORE_PAUSE, _SHARE * (time.monotonic() - begun))
        self.state = sum(self._found.values()), tuple(beats.items())
        return True

    def _look_at_folders(self) -> None:
        for group, expected in self._expected.items():
            if self._found[group] >= expected:
                continue
            folder = Path(self._desk.home.folder, self._desk.group(group))
            try:
                changed = folder.stat().st_mtime_ns
                if changed != self._changed.get(group):
                    self._found[group] = sum(entry.name.endswith(".json") for entry in os.scandir(folder))
                    self._changed[group] = changed
            except FileNotFoundError:
                continue

    def _look_at_listing(self) -> dict[str, int]:
        found: Counter[int] = Counter()
        notes, beats = f"{self._desk.folder}/notes/", f"{self._desk.run}/beats/"
        listed = self._desk.home.entries(self._desk.folder)
        for name in listed:
            if name.startswith(notes) and name.endswith(".json"):
                found[int(name.removeprefix(notes).partition("/")[0])] += 1
        self._found = found
        return {name: size for name, size in listed.items() if name.startswith(beats)}
