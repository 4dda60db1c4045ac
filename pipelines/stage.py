"""What every Beam stage has in common: claim the folder, run the passes, account for every row, finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.hub import client
from corpora.locks import locked
from corpora.manifest import FileRecord, MadeFrom, Manifest, State
from pipelines.advice import check_read, warn_of_blank_lines
from pipelines.once import ItemResult, ItemWork, Unit
from pipelines.room import check_room
from pipelines.row_numbers import with_rows
from pipelines.runners import Progress, run_units, size_of
from pipelines.settings import RunnerSettings


@dataclass(frozen=True)
class Outcome:
    """A finished stage; `state` tells whether there was anything to do."""

    state: State
    manifest: Manifest


@dataclass(frozen=True)
class Finish:
    """What a stage adds to its manifest once all units are done."""

    files: list[FileRecord] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """Work to do on every unit: on work items, or on parts of what an earlier pass left in `.progress`.

    A pass starts when all units of the previous pass are done. Its results are recorded unit by unit, so that a run
    that is killed at any point continues from there.

    units: may be a function of the results of all earlier passes; equal results must give equal units. weight: the
    share of such a pass in the progress, in bytes, as its units aren't known yet.
    """

    work: ItemWork
    units: Sequence[Unit] | Callable[[list[list[ItemResult]]], Sequence[Unit]]
    weight: int = 1

    def units_after(self, results: list[list[ItemResult]]) -> Sequence[Unit]:
        return self.units(results) if callable(self.units) else self.units

    @property
    def size(self) -> int:
        """Its share in the progress, in bytes."""
        return self.weight if callable(self.units) else sum(map(size_of, self.units))


def run_stage(
    folder: Path,
    made_from: MadeFrom,
    passes: Sequence[Pass],
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
    finish: Callable[..., Finish] | None = None,
) -> Outcome:
    """Completes the stage in `folder` that `made_from` describes, unless it is finished already.

    The first pass reads the inputs, so the row counts come from its results. The folder's manifest lists the files of
    all passes. finish: takes one list of results per pass. Raises InUse if another run works in the folder.
    """
    with locked(folder, made_from.stage):
        return _run_stage(folder, made_from, passes, runner, rebuild, progress, finish)


def _run_stage(
    folder: Path,
    made_from: MadeFrom,
    passes: Sequence[Pass],
    runner: RunnerSettings,
    rebuild: bool,
    progress: Progress | None,
    finish: Callable[..., Finish] | None,
) -> Outcome:
    state = manifest.begin(folder, made_from, rebuild=rebuild)
    if state == "finished":
        return Outcome(state, manifest.read(folder))
    first = passes[0].units_after([])
    inputs = [unit for unit in first if isinstance(unit, WorkItem)]
    check_room(inputs, runner.workers)
    results = _run(passes, runner, progress)
    items = results[0]
    counts = total_counts(items)
    check_read(inputs, counts, damaged=any(result.damage for result in items))
    warn_of_blank_lines(inputs, counts)
    more = finish(*results) if finish else Finish()
    done = manifest.finish(
        folder,
        records=[*(f for found in results for r in found for f in r.files), *more.files],
        counts=counts,
        facts=more.facts,
        items=[_account(r) for r in items],
        damaged=_damaged(first, items),
    )
    return Outcome(state, done)


def _run(passes: Sequence[Pass], runner: RunnerSettings, progress: Progress | None) -> list[list[ItemResult]]:
    """The results of each pass, in the order of its units."""
    sizes = [each.size for each in passes]
    results: list[list[ItemResult]] = []
    for number, each in enumerate(passes):
        notes = f"pass-{number + 1}" if number else ""
        update = _after(sizes, number, progress)
        units = with_rows(each.units_after(results), Path(each.work.out), runner)
        results.append(run_units(each.work, units, runner, update, notes))
    client.log_counts()
    return results


def _after(sizes: Sequence[int], number: int, progress: Progress | None) -> Progress | None:
    """Turns the progress of one pass into the progress of all passes."""
    before, size, total = sum(sizes[:number]), sizes[number], sum(sizes)
    return None if progress is None else lambda done, of: progress(before + size * done // max(of, 1), total)


def _damaged(units: Sequence[Unit], results: Sequence[ItemResult]) -> list[dict[str, Any]]:
    """The first damage of each file."""
    found: dict[str, str] = {}
    for unit, result in zip(units, results, strict=True):
        if result.damage:
            found.setdefault(unit.path, result.damage)
    return [{"file": path, "damage": damage} for path, damage in found.items()]


def _account(result: ItemResult) -> dict[str, Any]:
    account: dict[str, Any] = {"name": result.name, "read": result.read, "kept": result.kept}
    if result.sampled_out:
        account["sampled_out"] = result.sampled_out
    if result.rejected:
        account["rejected"] = result.rejected
    return account


def total_counts(results: Sequence[ItemResult]) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for result in results:
        rejected.update(result.rejected)
    return {
        "read": sum(r.read for r in results),
        "kept": sum(r.kept for r in results),
        "sampled_out": sum(r.sampled_out for r in results),
        "rejected": dict(sorted(rejected.items())),
    }


def settings_dict(settings: Any) -> dict[str, Any]:
    """Settings as the fingerprint sees them."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    return plain
