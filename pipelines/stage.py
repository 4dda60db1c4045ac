"""What every Beam stage has in common: claim the folder, run the passes, account for every row, finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.errors import StaleOutput, TamizError
from corpora.home import Home, Place
from corpora.hub import client
from corpora.locks import InUse, locked, named_share
from corpora.manifest import FileRecord, MadeFrom, Manifest, State
from pipelines.advice import check_read, warn_of_blank_lines
from pipelines.notes import Unit
from pipelines.once import ItemResult, ItemWork
from pipelines.progress import Progress, size_of
from pipelines.results import collect
from pipelines.room import check_room
from pipelines.row_numbers import with_rows
from pipelines.runners import run_units
from pipelines.settings import RunnerSettings
from pipelines.shares import of_share, others_at_work, others_missing
from pipelines.tries import SET_ASIDE


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
class Later:
    """Work that depends on the results of all earlier passes; equal results must give equal work."""

    make: Callable[[list[Sequence[ItemResult]]], ItemWork]


@dataclass(frozen=True)
class Pass:
    """Work to do on every unit: on work items, or on parts of what an earlier pass left in `.progress`.

    A pass starts when all units of the previous pass are done. Its results are recorded unit by unit, so that a run
    that is killed at any point continues from there.

    units: may be a function of the results of all earlier passes; equal results must give equal units. weight: the
    share of such a pass in the progress, in bytes, as its units aren't known yet. looks: whether it only looks at the
    inputs, for a later pass: then its results count no rows.
    """

    work: ItemWork | Later
    units: Sequence[Unit] | Callable[[list[Sequence[ItemResult]]], Sequence[Unit]]
    weight: int = 1
    looks: bool = False

    def work_after(self, results: list[Sequence[ItemResult]]) -> ItemWork:
        return self.work.make(results) if isinstance(self.work, Later) else self.work

    def units_after(self, results: list[Sequence[ItemResult]]) -> Sequence[Unit]:
        return self.units(results) if callable(self.units) else self.units

    @property
    def size(self) -> int:
        """Its share in the progress, in bytes."""
        return self.weight if callable(self.units) else sum(map(size_of, self.units))


def run_stage(
    folder: Place,
    made_from: MadeFrom,
    passes: Sequence[Pass],
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
    finish: Callable[..., Finish] | None = None,
) -> Outcome:
    """Completes the stage in `folder` that `made_from` describes, unless it is finished already.

    The first pass that doesn't only look reads the inputs, so the row counts come from its results. The folder's
    manifest lists the files of all passes. finish: takes one list of results per pass. Raises InUse if another run
    works in the folder.
    """
    stage = _Stage(folder, made_from, passes, runner, progress, finish)
    try:
        return stage.run_share(runner.share) if runner.share is not None else stage.run(rebuild)
    except TamizError:
        if not stage.others_finished():
            raise
        return stage.finished("continued")


@dataclass(frozen=True)
class _Stage:
    folder: Place
    made_from: MadeFrom
    passes: Sequence[Pass]
    runner: RunnerSettings
    progress: Progress | None
    finish: Callable[..., Finish] | None

    def run(self, rebuild: bool) -> Outcome:
        with locked(self.folder, self.made_from.stage):
            state = manifest.begin(self.folder, self.made_from, rebuild=rebuild)
            return self.finished(state) if state == "finished" else self.complete(state, self.run_passes())

    def others_finished(self) -> bool:
        """Whether another run of the same work, in a store, has finished it and removed what this one needed."""
        home = Home.of(self.folder)
        try:
            if home.is_local or not manifest.is_finished(home, self.made_from):
                return False
            home.remove_all(manifest.PROGRESS)  # what this run has left since
        except TamizError:
            return False
        return True

    def finished(self, state: State) -> Outcome:
        return Outcome(state, manifest.read(self.folder))

    def run_share(self, share: tuple[int, int]) -> Outcome:
        """Works on a share of the first incomplete pass; finishes if that leaves nothing to others."""
        command = named_share(self.made_from.stage, share)
        with locked(self.folder, command, shared=True):
            state = self._begin_share()
            if state == "finished":
                return self.finished(state)
            reached = self._work_on_share(share)
        try:
            with locked(self.folder, command):
                if self._begin_share() == "finished":
                    return self.finished(state)
                return self.complete(state, self.run_passes(share, reached))
        except InUse as error:
            raise others_at_work(share, error) from None

    def _begin_share(self) -> State:
        try:
            return manifest.begin(self.folder, self.made_from, shared=True)
        except StaleOutput as error:
            advice = f"all shares need the same inputs and settings; to begin anew, remove {self.folder} first"
            raise StaleOutput(str(error).replace(manifest.REDO, advice)) from None

    def _work_on_share(self, share: tuple[int, int]) -> int:
        """Returns the number of the pass: all, if every pass is complete."""
        results: list[Sequence[ItemResult]] = []
        for number, each in enumerate(self.passes):
            units, work = self._units(each, results), each.work_after(results)
            found, missing = collect(work, units, _notes(number))
            if missing:
                mine = of_share(units, share)
                if number == 0:
                    check_room([unit for unit in mine if isinstance(unit, WorkItem)], self.runner.workers)
                if mine:
                    run_units(work, mine, self.runner, self.progress, _notes(number))
                return number
            results.append(found)
        return len(self.passes)

    def run_passes(self, share: tuple[int, int] | None = None, reached: int = 0) -> list[Sequence[ItemResult]]:
        """The results of each pass, in the order of its units. share: this was a share; raises ShareDone if results
        of the pass that it reached are missing, and reuses those that are there."""
        sizes = [each.size for each in self.passes]
        results: list[Sequence[ItemResult]] = []
        for number, each in enumerate(self.passes):
            units, work = self._units(each, results), each.work_after(results)
            if number == 0:
                check_room([unit for unit in units if isinstance(unit, WorkItem)], self.runner.workers)
            if share is not None:
                found, missing = collect(work, units, _notes(number))
                if missing and number <= reached:
                    raise others_missing(share, units, missing)
                if not missing:
                    results.append(found)
                    continue
            update = _after(sizes, number, self.progress)
            results.append(run_units(work, units, self.runner, update, _notes(number)) if units else [])
        client.log_counts()
        return results

    def _units(self, each: Pass, results: list[Sequence[ItemResult]]) -> Sequence[Unit]:
        return with_rows(each.units_after(results), str(self.folder), self.runner)

    def complete(self, state: State, results: list[Sequence[ItemResult]]) -> Outcome:
        """Accounts for every row and writes the manifest."""
        reading = next(number for number, each in enumerate(self.passes) if not each.looks)
        first, items = self.passes[reading].units_after([]), results[reading]
        inputs = [unit for unit in first if isinstance(unit, WorkItem)]
        counts = total_counts(items)
        check_read(inputs, counts, any(result.damage for result in items))
        warn_of_blank_lines(inputs, counts)
        more = self.finish(*results) if self.finish else Finish()
        done = manifest.finish(
            self.folder,
            records=[*(f for found in results for r in found for f in r.files), *more.files],
            counts=counts,
            facts=more.facts,
            items=[_account(r) for r in items],
            damaged=_damaged(first, items),
            made_from=self.made_from,
        )
        return Outcome(state, done)


def _notes(number: int) -> str:
    """The folder of the notes of a pass."""
    return f"pass-{number + 1}" if number else ""


def _after(sizes: Sequence[int], number: int, progress: Progress | None) -> Progress | None:
    """Turns the progress of one pass into the progress of all passes."""
    before, size, total = sum(sizes[:number]), sizes[number], sum(sizes)
    return None if progress is None else lambda done, of: progress(before + size * done // max(of, 1), total)


def _damaged(units: Sequence[Unit], results: Sequence[ItemResult]) -> list[dict[str, Any]]:
    """The first damage of each file, as all its items behind that have it, too; and every item that was set aside."""
    found: dict[tuple[str, str], str] = {}
    for unit, result in zip(units, results, strict=True):
        if result.damage:
            aside = result.damage if result.damage.startswith(SET_ASIDE) else ""
            found.setdefault((unit.path, aside), result.damage)
    return [{"file": path, "damage": damage} for (path, _), damage in found.items()]


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
