"""The table of documents, kept share and perplexity by language and source."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.sampling.curve import Curve
from tamiz.report.curves import curve_of
from tamiz.report.folders import Scored
from tamiz.report.group_plots import Named
from tamiz.report.html import table
from tamiz.report.origin import share
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


def groups_table(named: Sequence[Named], summary: Summary, scored: Scored, unit: str) -> str:
    """HTML: one row for each group, largest first, and a row of totals. Shares below 1% are marked."""
    sampled = summary.total.after is not None
    languages = {n.group.language or scored.language for n in named} - {""}
    header = ["no.", *(["language"] if languages else []), "source", "documents", f"median {unit}"]
    header += ["perplexity 25%", "50%", "75%"]
    if sampled:
        header += ["kept", "kept share", "50%, kept"]
    names = 3 if languages else 2
    rows = []
    for n in named[:MOST_ROWS]:
        language = [n.group.language or scored.language or "–"] if languages else []
        rows.append([str(n.number), *language, n.group.source, *_cells(n.group, sampled)])
    left_out = len(named) - MOST_ROWS
    if left_out > 0:
        rows.append(["…", f"{left_out:,} more", *[""] * (len(header) - 2)])
    if len(named) > 1:
        rows.append(["", "all", *[""] * (names - 2), *_cells(summary.total, sampled)])
    return table(header, rows, [True, *[False] * (names - 1), *[True] * (len(header) - names)])


def _cells(group: Group, sampled: bool) -> list[str]:
    before, after = group.before, group.after
    cells = [f"{before.documents:,}", f"{before.length.quantile(0.5):,.0f}"]
    cells += [f"{value:,.4g}" for value in before.quartiles()]
    if sampled:
        kept = after.documents if after else 0
        cells += [f"{kept:,}", share(kept, before.documents)]
        cells.append(f"{after.perplexity.quantile(0.5):,.4g}" if after and kept else "–")
    return cells
