"""What `tamiz plan` said of a run, beside what its stages took: on the page, and as a table."""

from __future__ import annotations

from corpora.home import Place
from tamiz.console import say, table
from tamiz.planning import planned
from tamiz.planning.actual import HEADER, Compared, compared, notes, rows
from tamiz.planning.planned import Planned
from tamiz.report.html import escaped
from tamiz.report.html import table as html_table

_TITLE = "Planned and taken"


def _found(run: Place) -> tuple[Planned, list[Compared]] | None:
    plan = planned.read(run)
    found = compared(plan, run) if plan else []
    return (plan, found) if plan and found else None


def show_plan(run: Place) -> bool:
    """A table, if the folder has a plan and stages that it planned; returns whether it has. Raises DamagedFile for a
    damaged plan."""
    both = _found(run)
    if both is None:
        return False
    plan, found = both
    table(f"{_TITLE}, with {plan.cores} cores; ratios are planned : taken", HEADER, rows(found))
    for line in notes(found):
        say(line)
    return True


def section(run: Place) -> str:
    """The same for the page; empty without a plan."""
    both = _found(run)
    if both is None:
        return ""
    found = both[1]
    more = "".join(f'<p class="soft">{escaped(line)}</p>' for line in notes(found))
    return f"<h2>{_TITLE}</h2>{html_table(HEADER, rows(found), [False, *[True] * (len(HEADER) - 1)])}{more}"
