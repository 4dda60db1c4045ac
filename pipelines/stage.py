"""What every Beam stage has in common: claim the folder, run the items, account for every row, finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.manifest import FileRecord, MadeFrom, Manifest, State
from pipelines.once import ItemResult, ItemWork
from pipelines.runners import Progress, run_items
from pipelines.settings import RunnerSettings


@dataclass(frozen=True)
class Outcome:
    """A finished stage: `state` says whether anything had to be done."""

    state: State
    manifest: Manifest


@dataclass(frozen=True)
class Finish:
    """What a stage adds to its manifest once all items are done."""

    files: list[FileRecord]
    facts: dict[str, Any]


def run_stage(
    folder: Path,
    made_from: MadeFrom,
    work: ItemWork,
    transform: Callable[[], beam.PTransform],
    items: Sequence[WorkItem],
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
    finish: Callable[[list[ItemResult]], Finish] | None = None,
) -> Outcome:
    """Brings `folder` to the finished state that `made_from` describes."""
    state = manifest.begin(folder, made_from, rebuild=rebuild)
    if state == "finished":
        return Outcome(state, manifest.read(folder))
    results = run_items(work, transform(), items, runner, progress)
    more = finish(results) if finish else Finish([], {})
    done = manifest.finish(
        folder,
        records=[*(f for r in results for f in r.files), *more.files],
        counts=total_counts(results),
        facts=more.facts,
        items=[_account(r) for r in results],
        damaged=[{"file": i.path, "damage": r.damage} for i, r in zip(items, results, strict=True) if r.damage],
    )
    return Outcome(state, done)


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
