"""Before the first pass of a stage: with which row does each item begin, where a file is cut into several?

That takes the lines of all items before it, so they are counted once, by workers if they are many, and added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from corpora.documents.item import WorkItem
from corpora.documents.row_numbers import Lines, count_lines, numbered, uncounted
from corpora.errors import TamizError
from pipelines.notes import Unit
from pipelines.once import ItemResult
from pipelines.runners import run_units
from pipelines.settings import RunnerSettings

FEW = 64 << 20  # bytes in all, as stored: these are counted sooner than workers have started
NOTES = "lines"


@dataclass(frozen=True)
class CountWork:
    """Counts the lines of one item. Its result depends on the item alone."""

    out: str
    fingerprint: str = "lines"

    def __call__(self, item: WorkItem) -> ItemResult:
        lines = msgspec.structs.asdict(count_lines(item))
        return ItemResult(name=item.name, number=item.number, facts=lines, step=True)


def with_rows(units: Sequence[Unit], out: str, runner: RunnerSettings) -> Sequence[Unit]:
    """The units; if they are items, each with its first row."""
    items = [unit for unit in units if isinstance(unit, WorkItem)]
    cut = uncounted(items)
    if not cut:
        return units
    if sum(item.end - item.start for item in cut) <= FEW:
        return numbered(items, {item.number: count_lines(item) for item in cut})
    results = run_units(CountWork(out), _own_first(cut, runner.share), runner, notes=NOTES)
    return numbered(items, {found.number: _lines(found) for found in results})


def _own_first(items: list[WorkItem], share: tuple[int, int] | None) -> list[WorkItem]:
    """For each share another order, so that those that begin together don't work on the same item."""
    if share is None:
        return items
    return sorted(items, key=lambda item: (item.number - share[0] + 1) % share[1])


def _lines(result: ItemResult) -> Lines:
    if result.damage:  # without the count, no row behind it has its number
        raise TamizError(f"{result.name}: its lines couldn't be counted ({result.damage})")
    return msgspec.convert(result.facts, Lines)
