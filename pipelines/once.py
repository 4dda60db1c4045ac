"""One work item, done once: a retried, speculative or restarted item answers from its own finished output."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import msgspec

from corpora import files, manifest
from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.manifest import FileRecord


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one work item: small, whatever the item's size.

    counts: read = kept + sampled_out + rejected (by reason). scratch: files below `.progress` that the stage
    needs until it is finished. facts: whatever the stage adds.
    """

    name: str
    number: int
    read: int
    kept: int
    sampled_out: int = 0
    rejected: dict[str, int] = {}
    damage: str | None = None
    files: list[FileRecord] = []
    scratch: list[FileRecord] = []
    facts: dict[str, Any] = {}


class ItemWork(Protocol):
    """The work of a stage on one item: picklable, a plain function of the item."""

    @property
    def out(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def __call__(self, item: WorkItem, /) -> ItemResult: ...


def note_path(out: Path, item: WorkItem) -> Path:
    return out / manifest.PROGRESS / f"{item.name}.json"


def _key(work: ItemWork, item: WorkItem) -> str:
    message = work.fingerprint.encode() + msgspec.json.encode(item)
    return hashlib.sha256(message).hexdigest()


def read_note(work: ItemWork, item: WorkItem) -> ItemResult | None:
    """The result noted for `item`, if it was noted for the same work."""
    path = note_path(Path(work.out), item)
    if not path.exists():
        return None
    try:
        key, result = msgspec.json.decode(path.read_bytes(), type=tuple[str, ItemResult])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return result if key == _key(work, item) else None


def _intact(out: Path, record: FileRecord) -> bool:
    path = out / record.path
    return path.is_file() and path.stat().st_size == record.bytes and files.sha256(path) == record.sha256


def once(work: ItemWork, item: WorkItem) -> ItemResult:
    """Answers from the item's verified output, or works and notes the result beside it."""
    out = Path(work.out)
    result = read_note(work, item)
    if result is not None and all(_intact(out, r) for r in (*result.files, *result.scratch)):
        return result
    result = work(item)
    note = msgspec.json.encode((_key(work, item), result))
    files.write_bytes(note_path(out, item), note)
    return result


def collect(work: ItemWork, items: list[WorkItem]) -> list[ItemResult]:
    """The noted results, in item order. Raises TamizError where an item left none."""
    results = []
    for item in items:
        result = read_note(work, item)
        if result is None:
            raise TamizError(f"{item.path} left no result in {work.out}: every worker must see that folder")
        results.append(result)
    return results
