"""The plots of cards. Equal facts give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import read_curve
from tamiz.drawing import (
    AFTER,
    BEFORE,
    COLUMN,
    CURVE,
    PAGE,
    drawable,
    drawing,
    legend_above,
    log_axis,
    number,
    shortened,
)

PERPLEXITY = "perplexity.png"
WORDS = "words.png"
COLUMNS = 3  # panels in a row
TAILS = (0.002, 0.998)  # the axis leaves out the documents outside these quantiles


def draw_perplexity(facts: Mapping[str, Any], path: Path) -> None:
    """Perplexity of each group before and after sampling, and the keep probability. facts: of a sample's manifest."""
    both = facts["perplexities"]
    names = list(both)
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    with drawing(path, COLUMN + 0.5 if columns == 1 else PAGE, 0.4 + (2.2 if columns == 1 else 2.4) * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        alone = len(names) == 1
        for axes, name in zip(panels.flat, names, strict=False):
            before, after = (LogHistogram.from_builtins(both[name][when]) for when in ("before", "after"))
            handles = _panel(axes, before, after, counts=alone)
            handles += _keep(axes, facts["groups"][name].get("kernel"))
            if not alone:
                shown = shortened(name, 28) if drawable(name) else "?"
                axes.set_title(f"{shown}\n{after.total:,} of {before.total:,} documents kept")
        for axes in panels[:, 0]:
            axes.set_ylabel("documents (% of all before)")
        legend_above(figure, handles, columns=2 if columns == 1 else 3)


def _panel(axes: Any, before: LogHistogram, after: LogHistogram, *, counts: bool) -> list[Any]:
    """Both histograms as shares of the documents before sampling, so that their ratio is the kept share. counts: how
    many documents, in the legend: it holds for one panel alone."""
    low, high = (float(before.quantile(share)) for share in TAILS)
    handles = []
    for histogram, name, look in (
        (before, "before", {"fill": True, "color": BEFORE}),
        (after, "kept", {"color": AFTER, "linewidth": 1.2}),
    ):
        if histogram.total:
            heights, edges = _bars(histogram, before.total)
            label = f"{name}: {histogram.total:,} documents" if counts else name
            handles.append(axes.stairs(heights, edges, label=label, **look))
    low, high = max(low, 1e-9) / 1.1, max(high, 1e-9) * 1.1
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0)
    log_axis(axes.xaxis, low, high, narrow=True)
    axes.set_xlabel("perplexity of the document")
    return handles


def _bars(histogram: LogHistogram, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentages of `total` for a sixteenth of an octave, and the edges; bins without documents are filled in."""
    low, high = histogram.coarse_borders()
    edges = np.unique(np.concatenate([low, high]))
    heights = np.zeros(len(edges) - 1)
    place = np.searchsorted(edges, low)
    with np.errstate(divide="ignore"):
        widths = np.log2(np.maximum(high, 1e-300) / np.maximum(low, 1e-300)) * 16
    heights[place] = 100 * histogram.counts() / total / np.maximum(widths, 1e-3)
    return heights, edges


def _keep(axes: Any, kernel: Mapping[str, Any] | None) -> list[Any]:
    """The keep probability on an axis of its own at the right."""
    if not kernel:
        return []
    twin, (low, high) = axes.twinx(), axes.get_xlim()
    x = np.geomspace(low, high, 400)
    keep = read_curve(kernel).keep_probability(x)
    (line,) = twin.plot(x, keep, color=CURVE, linewidth=1.0, label="keep probability")
    twin.set_ylim(0, 1.02)
    twin.set_xlim(low, high)
    twin.tick_params(axis="y", colors=CURVE)
    return [line]


def draw_words(tokens_of_words: Sequence[int], path: Path) -> None:
    """Words by their tokens. tokens_of_words: how often words of 1, 2, ... tokens occur; the last: or more."""
    total = sum(tokens_of_words)
    shares = [100 * words / total for words in tokens_of_words]
    names = [*map(str, range(1, len(shares))), f"{len(shares)}+"]
    with drawing(path, COLUMN, 2.0) as figure:
        axes = figure.subplots()
        for bar, share in zip(axes.bar(names, shares, color=AFTER, width=0.8), shares, strict=True):
            if share:
                place = (bar.get_x() + bar.get_width() / 2, share)
                axes.annotate(number(float(f"{share:.2g}")), place, ha="center", va="bottom", fontsize=6)
        axes.set_ylim(0, 1.1 * max(shares))
        axes.set_xlabel("tokens of the word")
        axes.set_ylabel("words (%)")
