"""The end of a command: its table, its warnings, its exit code."""

from __future__ import annotations

from collections.abc import Sequence

from tamiz.console import table, warn
from tamiz.log import log
from tamiz.stages.common import StageReport, check_inputs

STATES = {"new": "done", "continued": "continued, done", "finished": "nothing to do"}


def summarise(reports: Sequence[StageReport], title: str) -> None:
    """Prints the table and the warnings. Raises if inputs were damaged or too many rows were rejected."""
    rows = []
    for report in reports:
        log.finished(report)
        rows.append((report.stage, STATES[report.state], str(report.folder)))
        rows += [("", name, value) for name, value in report.rows]
    table(title, ("", "", ""), rows)
    for report in reports:
        for warning in report.warnings:
            warn(warning)
    check_inputs(reports)
