"""The plots of one group of documents: perplexity, length, and perplexity against length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from tamiz.drawing import (
    AFTER,
    BEFORE,
    BEFORE_EDGE,
    COLUMN,
    CURVE,
    CURVES,
    DASHES,
    INK,
    PAGE,
    drawing,
    legend_above,
    log_axis,
    number,
)
from tamiz.report.grid import Grid
from tamiz.report.summary import Group, Tally

TAILS = (0.002, 0.998)  # the axes leave out the documents outside these quantiles
SMALLEST = 1e-9  # on a log axis
KEEP = "keep probability"
QUARTILES = (0.25, 0.5, 0.75)
FEW_DOCUMENTS = 3000  # with fewer documents, cells are coarser
SMALLEST_COLUMN = 20  # for fewer documents, no median is drawn

Edges = np.ndarray


def draw_perplexity(group: Group, curve: Curve | None, path: Path) -> Path:
    """Perplexity before and after sampling, with quartiles and the keep probability."""
    with drawing(path, COLUMN, 2.6) as figure:
        axes = figure.subplots()
        handles = draw_group(axes, group, perplexity_edges(group.before.perplexity))
        axes.set_xlabel("perplexity of the document")
        axes.set_ylabel("documents (% per bin)")
        mark_quartiles(axes, group.before.perplexity)
        if curve:
            twin, lines = draw_curves(axes, [(KEEP, curve)])
            label_curve_axis(twin)
            handles += lines
        legend_above(figure, handles, columns=2)
    return path


def draw_scores(histogram: LogHistogram, path: Path, curves: Sequence[tuple[str, Curve]] = ()) -> Path:
    """Perplexities on a log axis, with quartiles and the keep probability of each (label, curve)."""
    with drawing(path, COLUMN, 2.5 + 0.15 * (len(curves) // 2)) as figure:
        axes = figure.subplots()
        edges = perplexity_edges(histogram)
        handles = [_filled(axes, histogram, edges, f"{histogram.total:,} documents")]
        _log_frame(axes, edges)
        axes.set_xlabel("perplexity of the document")
        axes.set_ylabel("documents (% per bin)")
        mark_quartiles(axes, histogram)
        if curves:
            twin, lines = draw_curves(axes, curves)
            label_curve_axis(twin, CURVE if len(curves) == 1 else INK)
            handles += lines
        legend_above(figure, handles, columns=2)
    return path


def draw_length(group: Group, unit: str, path: Path) -> Path:
    """Length before and after sampling, with medians. unit: the unit of lengths."""
    with drawing(path, COLUMN, 2.3) as figure:
        axes = figure.subplots()
        handles = []
        edges = length_edges(group.before.length)
        for name, tally, fill in (("before", group.before, True), ("after", group.after, False)):
            if tally and tally.documents:
                median = float(tally.length.quantile(0.5))
                label = f"{tally.documents:,} documents, median {number(round(median))}"
                label = f"{name}: {label}" if group.after else label
                handles.append((_filled if fill else _stepped)(axes, tally.length, edges, label))
                axes.axvline(median, color=BEFORE_EDGE if fill else AFTER, linewidth=0.8, linestyle=(0, (2, 2)))
        _log_frame(axes, edges)
        axes.set_xlabel(f"length of the document ({unit})")
        axes.set_ylabel("documents (% per bin)")
        legend_above(figure, handles, columns=1)
    return path


def draw_perplexity_by_length(group: Group, unit: str, path: Path) -> Path:
    """Perplexity against length: the share of documents in each cell, and the median perplexity for each length."""
    panels = [("before", group.before)] + ([("after", group.after)] if group.after else [])
    few = group.before.documents < FEW_DOCUMENTS
    shown = [(name, _grid(tally, few)) for name, tally in panels if tally and tally.documents]
    with drawing(path, PAGE if len(shown) > 1 else COLUMN + 0.5, 2.8) as figure:
        row = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
        norm = _shares_norm([grid for _, grid in shown])
        for axes, (name, grid) in zip(row, shown, strict=True):
            mesh, line = _draw_cells(axes, grid, shown[0][1], norm)
            axes.set_title(f"{name}: {grid.total:,} documents" if group.after else f"{grid.total:,} documents")
            axes.set_xlabel(f"length ({unit})")
        row[0].set_ylabel("perplexity")
        _frame(row, edges_of(group.before.length), edges_of(group.before.perplexity))
        _colour_bar(figure, mesh, row)
        if len(line.get_xdata()) > 1:
            legend_above(figure, [line])
    return path


def _grid(tally: Tally, few: bool) -> Grid:
    return tally.grid.coarser() if few else tally.grid


def _frame(row: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Limits and ticks of panels that share both axes."""
    row[0].set_ylim(*y)
    log_axis(row[0].yaxis, *y)
    row[0].set_xlim(*x)
    for axes in row:
        log_axis(axes.xaxis, *x)


def _shares_norm(grids: Sequence[Grid]) -> Any:
    """A log scale of colours in which a cell with one document is still visible."""
    from matplotlib.colors import LogNorm

    least = min(100.0 / grid.total for grid in grids)
    most = max(100.0 * grid.counts.max() / grid.total for grid in grids)
    return LogNorm(least / 2, max(most, 2 * least))


def _draw_cells(axes: Any, grid: Grid, frame: Grid, norm: Any) -> tuple[Any, Any]:
    perplexity, length, counts = grid.dense(frame)
    shares = 100.0 * counts / grid.total
    axes.set_xscale("log")
    axes.set_yscale("log")
    mesh = axes.pcolormesh(length, perplexity, np.ma.masked_equal(shares, 0.0), cmap="Blues", norm=norm)
    columns = np.flatnonzero(counts.sum(axis=0) >= SMALLEST_COLUMN)
    middle = np.sqrt(length[:-1] * length[1:])
    medians = [_median(counts[:, c], perplexity) for c in columns]
    (line,) = axes.plot(middle[columns], medians, color=CURVE, linewidth=1.2, label="median at that length")
    return mesh, line


def _median(counts: np.ndarray, edges: Edges) -> float:
    """The median of a histogram, interpolated within its bin."""
    reached = np.cumsum(counts)
    half = reached[-1] / 2
    place = int(np.searchsorted(reached, half))
    before = reached[place] - counts[place]
    return float(edges[place] + (edges[place + 1] - edges[place]) * (half - before) / counts[place])


def _colour_bar(figure: Any, mesh: Any, row: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    bar = figure.colorbar(mesh, ax=list(row), pad=0.01, fraction=0.05)
    narrow = mesh.norm.vmax < 20 * mesh.norm.vmin
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    bar.set_label("documents (% per cell)")
    bar.outline.set_linewidth(0.4)


def draw_group(axes: Any, group: Group, edges: Edges) -> list[Any]:
    """Draws a group's histograms of perplexity, as shares of its documents; returns their handles."""
    label = f"{group.before.documents:,} documents"
    handles = [_filled(axes, group.before.perplexity, edges, f"before: {label}" if group.after else label)]
    if group.after:
        label = f"after: {group.after.documents:,} documents"
        handles.append(_stepped(axes, group.after.perplexity, edges, label))
    _log_frame(axes, edges)
    return handles


def draw_curves(
    axes: Any, curves: Sequence[tuple[str, Curve]], colours: Sequence[str] = CURVES
) -> tuple[Any, list[Any]]:
    """Draws the keep probability of each (label, curve) on a second axis from 0 to 1; returns that axis and lines."""
    twin = axes.twinx()
    low, high = axes.get_xlim()
    x = np.geomspace(low, high, 800)
    lines = [
        twin.plot(x, curve.keep_probability(x), color=colour, linestyle=dashes, label=label)[0]
        for (label, curve), (dashes, colour) in zip(curves, _line_styles(colours), strict=False)
    ]
    twin.set_ylim(0, 1.02)
    twin.set_xlim(low, high)
    return twin, lines


def _line_styles(colours: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Endless (dashes, colour): cycles through both, and pairs each colour with other dashes in the next round."""
    for n in itertools.count():
        yield DASHES[(n + n // len(DASHES)) % len(DASHES)], colours[n % len(colours)]


def label_curve_axis(twin: Any, colour: str = CURVE) -> None:
    twin.set_ylabel(KEEP, color=colour)
    twin.tick_params(axis="y", colors=colour)
    twin.spines["right"].set_visible(True)
    twin.spines["right"].set_color(colour)


def mark_quartiles(axes: Any, histogram: LogHistogram) -> None:
    """Dotted lines, labelled above the frame; the median's label is raised if it would touch another label."""
    values = [float(histogram.quantile(q)) for q in QUARTILES]
    low, high = axes.get_xlim()
    width = axes.figure.get_size_inches()[0] * 0.7 / np.log(high / low)  # inches per unit of ln(perplexity)
    gap = width * min(np.log(values[1] / values[0]), np.log(values[2] / values[1]))
    raised = gap < 0.2
    for name, value, side in zip(("25%", "50%", "75%"), values, ("right", "center", "left"), strict=True):
        axes.axvline(value, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
        text = f"{name}\n{number(float(f'{value:.3g}'))}"
        y = 16 if raised and name == "50%" else 1
        axes.annotate(text, (value, 1.0), xytext=(0, y), xycoords=("data", "axes fraction"),
                      textcoords="offset points", ha=side, va="bottom", fontsize=6.5, linespacing=1.0)  # fmt: skip


def edges_of(histogram: LogHistogram) -> tuple[float, float]:
    """The range to draw: all but the outermost 0.2% on each side, but at least a factor of two."""
    low, high = (max(float(histogram.quantile(q)), SMALLEST) for q in TAILS)
    widen = max(1.05, (2 * low / high) ** 0.5)
    return low / widen, high * widen


def perplexity_edges(histogram: LogHistogram) -> Edges:
    """Bins for a plot, equally wide on a log axis; more documents give more bins."""
    low, high = edges_of(histogram)
    return np.geomspace(low, high, int(np.clip(2 * histogram.total ** (1 / 3), 10, 60)) + 1)


def length_edges(histogram: LogHistogram) -> Edges:
    """Like perplexity_edges, but each edge lies between two whole numbers, so that lengths fill the bins evenly."""
    low, high = edges_of(histogram)
    edges = np.geomspace(max(low, 0.5), max(high, 2.0), int(np.clip(2 * histogram.total ** (1 / 3), 10, 50)) + 1)
    return np.unique(np.floor(edges) + 0.5)


def _density(histogram: LogHistogram, edges: Edges) -> np.ndarray:
    """Percentage of the documents in each bin; if widths differ, scaled to the median width.

    Documents beyond the axis count in the outermost bins."""
    inside = np.clip(histogram.centres(), edges[0], edges[-1])
    counts = np.histogram(inside, edges, weights=histogram.counts())[0]
    widths = np.diff(np.log(edges))
    density: np.ndarray = 100.0 * counts / max(histogram.total, 1) * (np.median(widths) / widths)
    return density


def _filled(axes: Any, histogram: LogHistogram, edges: Edges, label: str) -> Any:
    return axes.stairs(_density(histogram, edges), edges, fill=True, color=BEFORE, label=label)


def _stepped(axes: Any, histogram: LogHistogram, edges: Edges, label: str) -> Any:
    return axes.stairs(_density(histogram, edges), edges, color=AFTER, linewidth=1.2, label=label)


def _log_frame(axes: Any, edges: Edges) -> None:
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    log_axis(axes.xaxis, float(edges[0]), float(edges[-1]))
