"""Does each unit of work once: a retried, speculative or restarted unit reuses its own finished output."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import msgspec

from corpora.documents.item import WorkItem
from corpora.home import Home
from corpora.manifest import FileRecord
from pipelines.notes import Desk, Unit, write_lightly


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


def _key(work: ItemWork, unit: Unit) -> str:
    content = unit.identity() if isinstance(unit, WorkItem) else unit
    message = work.fingerprint.encode() + msgspec.json.encode(content)
    return hashlib.sha256(message).hexdigest()


def read_note(work: ItemWork, unit: Unit, notes: str = "") -> ItemResult | None:
    """The recorded result of `unit`, if it is a result of the same work. notes: the folder of a later pass."""
    try:
        data = Home.of(work.out).read_bytes(Desk(work.out, notes).note(unit))
        key, result = msgspec.json.decode(data, type=tuple[str, ItemResult])
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return result if key == _key(work, unit) else None


def answer(work: ItemWork, unit: Unit, notes: str = "") -> ItemResult | None:
    """The recorded result of `unit` if its output is intact."""
    result, home = read_note(work, unit, notes), Home.of(work.out)
    intact = result is not None and all(home.holds(record) for record in (*result.files, *result.scratch))
    return result if intact else None


def record(work: ItemWork, unit: Unit, result: ItemResult, notes: str = "") -> None:
    note = msgspec.json.encode((_key(work, unit), result))
    write_lightly(Home.of(work.out), Desk(work.out, notes).note(unit), note)


def once(work: ItemWork, unit: Unit, notes: str = "") -> ItemResult:
    """Returns the recorded result if the unit's output is intact; otherwise does the work and records the result."""
    result = answer(work, unit, notes)
    if result is None:
        result = work(unit)
        record(work, unit, result, notes)
    return result
