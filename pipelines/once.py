"""Does each unit of work once: a retried, speculative or restarted unit reuses its own finished output."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.joined import JoinedPart
from corpora.errors import TamizError
from corpora.home import Home, Place
from corpora.manifest import FileRecord
from corpora.parted import Part

Unit = WorkItem | Part | JoinedPart


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one unit of work: small, whatever the unit's size. read = kept + sampled_out + rejected."""

    name: str
    number: int
    read: int = 0
    """rows; 0 for a part, which reads no documents"""
    kept: int = 0
    sampled_out: int = 0
    rejected: dict[str, int] = {}
    """rows by reason"""
    damage: str | None = None
    files: list[FileRecord] = []
    scratch: list[FileRecord] = []
    """files in `.progress` that the stage needs until it is finished"""
    facts: dict[str, Any] = {}
    """whatever the stage adds"""


class ItemWork(Protocol):
    """What a pass does with one unit: a plain function of the unit that can be pickled."""

    @property
    def out(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def __call__(self, unit: Any, /) -> ItemResult: ...


def notes_folder(out: Place, notes: str = "") -> Home:
    """Where the results of a pass are recorded. notes: a separate folder for each pass after the first."""
    return Home.of(out) / manifest.PROGRESS / notes if notes else Home.of(out) / manifest.PROGRESS


def note_name(unit: Unit) -> str:
    return f"{unit.name}.json"


def _key(work: ItemWork, unit: Unit) -> str:
    content = unit.identity() if isinstance(unit, WorkItem) else unit
    message = work.fingerprint.encode() + msgspec.json.encode(content)
    return hashlib.sha256(message).hexdigest()


def read_note(work: ItemWork, unit: Unit, notes: str = "") -> ItemResult | None:
    """The recorded result of `unit`, if it is a result of the same work."""
    try:
        note = notes_folder(work.out, notes).read_bytes(note_name(unit))
        key, result = msgspec.json.decode(note, type=tuple[str, ItemResult])
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return result if key == _key(work, unit) else None


def once(work: ItemWork, unit: Unit, notes: str = "") -> ItemResult:
    """Returns the recorded result if the unit's output is intact; otherwise does the work and records the result."""
    home = Home.of(work.out)
    result = read_note(work, unit, notes)
    if result is not None and all(home.holds(r) for r in (*result.files, *result.scratch)):
        return result
    result = work(unit)
    note = msgspec.json.encode((_key(work, unit), result))
    notes_folder(home, notes).write_bytes(note_name(unit), note)
    return result


def collect(work: ItemWork, units: Sequence[Unit], notes: str = "") -> list[ItemResult]:
    """The recorded results, in the order of the units. Raises TamizError if a unit has none."""
    results = []
    for unit in units:
        result = read_note(work, unit, notes)
        if result is None:
            raise TamizError(f"{unit.path} left no result in {work.out}: every worker must see that folder")
        results.append(result)
    return results
