"""The table of documents, kept share and perplexity by language and source."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.sampling.curve import Curve
from tamiz.report.curves import curve_of
from tamiz.report.folders import Scored
from tamiz.report.group_plots import Named
from tamiz.report.html import table
from tamiz.report.summary import Group, Summary

MOST_ROWS = 60


def named_groups(summary: Summary, scored: Scored) -> list[Named]:
    """Names the groups for plots and table: by language if there are several, and by source."""
    several = len(summary.languages) > 1
    return [
        Named(n, _name(group, several), group, _curve(scored, group)) for n, group in enumerate(summary.groups, 1)
    ]


def _name(group: Group, several_languages: bool) -> str:
    if several_languages and group.language:
        return f"{group.language} · {group.source}"
    return group.source


def _curve(scored: Scored, group: Group) -> Curve | None:
    return curve_of(scored.sample.facts, group.language, group.source) if scored.sample else None


def groups_table(named: Sequence[Named], summary: Summary, unit: str) -> str:
    """HTML: one row for each group, largest first, and a row of totals."""
    sampled = summary.total.after is not None
    header = ["", "language", "source", "documents", f"median {unit}", "perplexity 25%", "50%", "75%"]
    if sampled:
        header += ["kept", "kept share", "50%, kept"]
    rows = [[str(n.number), n.group.language or "–", n.group.source, *_cells(n.group, sampled)] for n in named]
    left_out = len(rows) - MOST_ROWS
    rows = rows[:MOST_ROWS]
    if left_out > 0:
        rows.append(["…", f"{left_out:,} more", *[""] * (len(header) - 2)])
    if len(named) > 1:
        rows.append(["", "all", "", *_cells(summary.total, sampled)])
    return table(header, rows, [True, False, False, *[True] * (len(header) - 3)])


def _cells(group: Group, sampled: bool) -> list[str]:
    before, after = group.before, group.after
    cells = [f"{before.documents:,}", f"{before.length.quantile(0.5):,.0f}"]
    cells += [f"{value:,.4g}" for value in before.quartiles()]
    if sampled:
        kept = after.documents if after else 0
        cells += [f"{kept:,}", f"{100 * group.kept_share:.3g}%"]
        cells.append(f"{after.perplexity.quantile(0.5):,.4g}" if after and kept else "–")
    return cells
