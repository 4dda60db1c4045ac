"""A stage as one value, and what stages take and return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.documents.sources import DocumentSource
from corpora.errors import TamizError, TooManyRejected
from corpora.manifest import Manifest
from pipelines.settings import RunnerSettings
from tamiz.options import MAX_REJECTED
from tamiz.recipes.schema import Recipe, Section


class FinishedWithDamage(TamizError):
    """Every readable row was processed, but some input files are damaged."""


@dataclass(frozen=True)
class Context:
    """How to run. None of it changes the output."""

    runner: RunnerSettings = field(default_factory=RunnerSettings)
    rebuild: bool = False
    max_rejected: float = MAX_REJECTED


@dataclass(frozen=True)
class StageReport:
    """A finished stage.

    state       new, continued or finished (nothing to do)
    rows        (name, value) pairs for the summary
    damaged     input files that are damaged
    too_many    a message, if more rows were rejected than allowed; like `damaged`, it means exit code 1
    """

    stage: str
    state: str
    folder: Path
    rows: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()
    damaged: Sequence[str] = ()
    too_many: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    name          as in `--until`, in the manifest of its folder and in messages
    folder        its folder below the run's
    title         its heading in reports
    help          what it makes, in a few words
    sections      the recipe's sections that it reads; it runs if the first of them is there
    run           does the work
    needs         other sections that must be there, with the advice for where they are missing
    reads         whether it reads documents: those of the recipe, or what the last stage before it leaves
    leaves        patterns of the documents that it leaves to later stages in place of those that it read
    settle        checks the recipe's sections against each other; raises ValueError
    before        checks that need the disk or the network, before any work; raises TamizError
    check         what `tamiz verify` checks besides files, checksums and counts: one line for each problem
    after         the stage that it follows; None: behind all others
    """

    name: str
    folder: str
    title: str
    help: str
    sections: tuple[Section, ...]
    run: Callable[[Plan, Context], StageReport]
    needs: tuple[tuple[str, str], ...] = ()
    reads: bool = False
    leaves: Callable[[Plan], Sequence[str]] | None = None
    settle: Callable[[Recipe], None] | None = None
    before: Callable[[Plan], None] | None = None
    check: Callable[[Path, Manifest], list[str]] | None = None
    after: str | None = None

    def runs_in(self, recipe: Recipe) -> bool:
        return recipe.sections.get(self.sections[0].name) is not None


@dataclass(frozen=True)
class Plan:
    """A recipe in its output folder. stages: those that its sections ask for, in order."""

    recipe: Recipe
    out: Path
    stages: tuple[Stage, ...]

    def folder(self, name: str) -> Path:
        """The folder of the stage with this name."""
        return self.out / self._stage(name).folder

    def has(self, name: str) -> bool:
        return any(stage.name == name for stage in self.stages)

    def documents(self, name: str) -> list[DocumentSource]:
        """The documents that the stage with this name reads."""
        sources = self.recipe.inputs
        for stage in self.stages[: self.stages.index(self._stage(name))]:
            if stage.leaves:
                sources = [DocumentSource(input=tuple(stage.leaves(self)))]
        return sources

    def _stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)


def damaged_inputs(manifest: Manifest) -> list[str]:
    return [f"{d['file']}: {d['damage']}" for d in manifest.damaged]


def check_inputs(reports: Sequence[StageReport]) -> None:
    """Raises FinishedWithDamage or TooManyRejected, for exit code 1, once everything else is done."""
    damaged = sorted({d for r in reports for d in r.damaged})
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise FinishedWithDamage(
            f"finished, but an input file is damaged: {damaged[0]}{more}; repair it and run again with --rebuild"
        )
    for report in reports:
        if report.too_many:
            raise TooManyRejected(f"finished, but {report.too_many}")
