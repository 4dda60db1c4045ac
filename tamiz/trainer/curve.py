"""Draws the loss curve of a training as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw_loss(metrics: Mapping[str, Any], path: Path) -> None:
    """Training and validation loss by step, with the entropy of the targets' unigrams as a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for key, style, name in (("loss", "-", "training"), ("validation_loss", "o-", "validation")):
        points = [(point["step"], point[key]) for point in metrics["history"] if key in point]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=name, linewidth=1.2, markersize=4)
    entropy = metrics["target_unigram_entropy_nats"]
    if entropy is not None:
        axes.axhline(entropy, color="grey", linewidth=1, linestyle="--", label="entropy of the targets' unigrams")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per target id)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})
