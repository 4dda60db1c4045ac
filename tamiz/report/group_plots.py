"""The plots that compare groups: small multiples of perplexity; documents, kept share and median as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpora.sampling.curve import Curve
from tamiz.drawing import (
    AFTER,
    BEFORE,
    BEFORE_EDGE,
    INK,
    PAGE,
    drawable,
    drawing,
    legend_above,
    log_axis,
    number,
    shortened,
)
from tamiz.report.plots import KEEP, draw_curves, draw_group, label_curve_axis, perplexity_edges
from tamiz.report.summary import Group

MOST_PANELS = 12
MOST_BARS = 24
COLUMNS = 3


@dataclass(frozen=True)
class Named:
    """A group, its number in the page's table, its name and its keep-probability curve."""

    number: int
    name: str
    group: Group
    curve: Curve | None

    def label(self, length: int) -> str:
        """The name if matplotlib's font has its characters, otherwise the language and the number in the table."""
        if drawable(self.name):
            return shortened(self.name, length)
        language = self.group.language
        return f"{language} · group {self.number}" if language and drawable(language) else f"group {self.number}"


def draw_groups(groups: Sequence[Named], path: Path) -> Path:
    """Small multiples of perplexity before and after sampling, largest groups first, on a shared perplexity axis."""
    shown = list(groups[:MOST_PANELS])
    rows = -(-len(shown) // COLUMNS)
    columns = min(len(shown), COLUMNS)
    edges = _common_edges(shown)
    with drawing(path, PAGE, 0.5 + 1.5 * rows) as figure:
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        handles: list[Any] = []
        for n, axes in enumerate(grid.flat):
            if n >= len(shown):
                axes.set_visible(False)
                continue
            handles = _panel(axes, shown[n], edges, last=n % columns == columns - 1)
            axes.xaxis.set_tick_params(labelbottom=n + columns >= len(shown))
        figure.supxlabel("perplexity of the document", fontsize=8)
        figure.supylabel("documents (% per bin)", fontsize=8)
        if len(handles) > 1:
            for handle, label in zip(handles, ("before", "after", KEEP), strict=False):
                handle.set_label(label)
            legend_above(figure, handles)
    return path


def _panel(axes: Any, named: Named, edges: np.ndarray, *, last: bool) -> list[Any]:
    """One group; the right axis is labelled in the last panel of a row."""
    handles = draw_group(axes, named.group, edges)
    log_axis(axes.xaxis, float(edges[0]), float(edges[-1]), narrow=True)
    median = float(named.group.before.perplexity.quantile(0.5))
    axes.axvline(median, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set_title(f"{named.label(32)}\n{named.group.before.documents:,} documents", fontsize=7, linespacing=1.1)
    if named.curve:
        twin, lines = draw_curves(axes, [(KEEP, named.curve)])
        handles += lines
        if last:
            label_curve_axis(twin)
        else:
            twin.set_yticks([])
    return handles


def _common_edges(groups: Sequence[Named]) -> np.ndarray:
    """Bins over the range of all groups, as fine as the group with the fewest documents allows."""
    each = [perplexity_edges(n.group.before.perplexity) for n in groups]
    low, high = min(e[0] for e in each), max(e[-1] for e in each)
    width = max(float(np.log(e[1] / e[0])) for e in each)
    return np.geomspace(low, high, int(np.clip(np.log(high / low) / width, 10, 60)) + 1)


def draw_bars(groups: Sequence[Named], path: Path) -> Path:
    """Documents, kept share and median perplexity of each group, as rows."""
    shown = list(groups[:MOST_BARS])
    sampled = any(n.group.after for n in shown)
    places = np.arange(len(shown))[::-1]
    with drawing(path, PAGE, 0.75 + 0.22 * len(shown)) as figure:
        row = figure.subplots(1, 3 if sampled else 2, sharey=True, width_ratios=[1.2, 1, 1] if sampled else [1.2, 1])
        handles = _bars_of_documents(row[0], shown, places)
        row[0].set_yticks(places, [n.label(30) for n in shown])
        if sampled:
            _bars_of_shares(row[1], shown, places)
        _dots_of_medians(row[-1], shown, places)
        for axes in row:
            axes.tick_params(axis="y", length=0)
            axes.set_ylim(-0.6, len(shown) - 0.4)
        if sampled:
            legend_above(figure, handles)
    return path


def _bars_of_documents(axes: Any, shown: Sequence[Named], places: np.ndarray) -> list[Any]:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    before = [n.group.before.documents for n in shown]
    handles = [axes.barh(places, before, 0.7, color=BEFORE, label="before")]
    if any(n.group.after for n in shown):
        after = [n.group.after.documents if n.group.after else 0 for n in shown]
        handles.append(axes.barh(places, after, 0.7, color=AFTER, label="after"))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_xlabel("documents")
    return handles


def _bars_of_shares(axes: Any, shown: Sequence[Named], places: np.ndarray) -> None:
    shares = [100 * n.group.kept_share for n in shown]
    axes.barh(places, shares, 0.7, color=AFTER)
    most = max(shares) or 1.0
    for place, share in zip(places, shares, strict=True):
        axes.text(share + most / 50, place, f"{share:.3g}%", va="center", fontsize=6.5)
    axes.set_xlim(0, most * 1.25)
    axes.set_xlabel("kept (% of documents)")


def _dots_of_medians(axes: Any, shown: Sequence[Named], places: np.ndarray) -> None:
    """Medians before and after sampling, joined by a line."""
    before = [float(n.group.before.perplexity.quantile(0.5)) for n in shown]
    after = [_median_after(n.group) for n in shown]
    known = [value for value in (*before, *after) if value is not None]
    for place, low, high in zip(places, before, after, strict=True):
        if high is not None:
            axes.plot([low, high], [place, place], color=BEFORE_EDGE, linewidth=0.8, zorder=1)
            axes.scatter([high], [place], 18, color=AFTER, zorder=3)
    axes.scatter(before, places, 18, color=BEFORE, edgecolors=BEFORE_EDGE, linewidths=0.7, zorder=2)
    low, high = min(known), max(known)
    widen = max(1.2, (2 * low / high) ** 0.5)
    axes.set_xscale("log")
    axes.set_xlim(low / widen, high * widen)
    log_axis(axes.xaxis, low / widen, high * widen)
    axes.set_xlabel("median perplexity")


def _median_after(group: Group) -> float | None:
    return float(group.after.perplexity.quantile(0.5)) if group.after and group.after.documents else None
