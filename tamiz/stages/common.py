"""What stages take and return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.errors import TamizError, TooManyRejected
from corpora.manifest import Manifest
from pipelines.settings import RunnerSettings
from tamiz.options import MAX_REJECTED


class FinishedWithDamage(TamizError):
    """All that could be read was worked on, but some input files are damaged."""


@dataclass(frozen=True)
class Context:
    """How to run: none of it changes what is made."""

    runner: RunnerSettings = field(default_factory=RunnerSettings)
    rebuild: bool = False
    max_rejected: float = MAX_REJECTED


@dataclass(frozen=True)
class StageReport:
    """A finished stage. state: new, continued or finished (nothing to do). rows: (what, value) for the summary.

    damaged: input files; too_many: more rows rejected than allowed. Either ends the command with exit code 1.
    """

    stage: str
    state: str
    folder: Path
    rows: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()
    damaged: Sequence[str] = ()
    too_many: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def damaged_inputs(manifest: Manifest) -> list[str]:
    return [f"{d['file']}: {d['damage']}" for d in manifest.damaged]


def check_inputs(reports: Sequence[StageReport]) -> None:
    """Raises FinishedWithDamage or TooManyRejected, for exit code 1, once everything else is done."""
    damaged = sorted({d for r in reports for d in r.damaged})
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise FinishedWithDamage(f"finished, but an input file is damaged: {damaged[0]}{more}; mend it and --rebuild")
    for report in reports:
        if report.too_many:
            raise TooManyRejected(f"finished, but {report.too_many}")
