"""The plots: perplexities, before and after the sieve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from corpora import files
from tamiz.report.data import Sieve

BEFORE, AFTER, CURVE = "#9aa5b1", "#1f6feb", "#d9480f"
BINS = 60


def _axes(width: float = 8.0, height: float = 4.2) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height), dpi=150)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    return path


def draw_perplexity(sieve: Sieve, path: Path) -> Path:
    """Histograms on a log axis, quartiles marked, the keep probability over them."""
    figure, axes = _axes()
    low, high = np.quantile(sieve.before, [0.002, 0.998])
    low, high = low * 0.9, max(high * 1.1, low * 1.2)
    edges = np.geomspace(low, high, BINS + 1)
    axes.hist(sieve.before, edges, color=BEFORE, label=f"before: {len(sieve.before):,} documents")
    axes.hist(sieve.after, edges, color=AFTER, alpha=0.85, label=f"after: {len(sieve.after):,} documents")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel("perplexity of the document (log scale)")
    axes.set_ylabel("documents")
    for name, side, value in zip(
        ("25%", "50%", "75%"), ("right", "center", "left"), sieve.facts["quartiles"], strict=True
    ):
        axes.axvline(value, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(name, (value, 1.0), xycoords=("data", "axes fraction"), ha=side, va="bottom", fontsize=8)
    _draw_curve(axes, sieve, np.geomspace(low, high, 400))
    return _save(figure, path)


def draw_scores(perplexities: np.ndarray, quantiles: dict[str, float], path: Path) -> Path:
    """A histogram of scores on a log axis, the quartiles marked."""
    figure, axes = _axes()
    low, high = (float(q) for q in np.quantile(perplexities, [0.002, 0.998]))
    edges = np.geomspace(low * 0.9, max(high * 1.1, low * 1.2), BINS + 1)
    axes.hist(perplexities, edges, color=AFTER, label=f"{len(perplexities):,} documents")
    axes.set_xscale("log")
    axes.set_xlabel("perplexity of the document (log scale)")
    axes.set_ylabel("documents")
    for q in ("0.25", "0.5", "0.75"):
        axes.axvline(quantiles[q], color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"{quantiles[q]:,.4g}", (quantiles[q], 1.0), xycoords=("data", "axes fraction"), ha="center",
                      va="bottom", fontsize=8)  # fmt: skip
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)


def _draw_curve(axes: Any, sieve: Sieve, x: np.ndarray) -> None:
    twin = axes.twinx()
    twin.plot(x, sieve.kernel.keep_probability(x), color=CURVE, linewidth=1.8, label="keep probability")
    twin.set_ylim(0, 1.05)
    twin.set_ylabel("keep probability", color=CURVE)
    twin.spines[["top"]].set_visible(False)
    handles = [h for a in (axes, twin) for h in a.get_legend_handles_labels()[0]]
    labels = [n for a in (axes, twin) for n in a.get_legend_handles_labels()[1]]
    twin.legend(handles, labels, loc="upper right", frameon=False, fontsize=8)
