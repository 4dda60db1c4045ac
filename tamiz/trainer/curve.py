"""Draws the loss curve of a training as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tamiz.drawing import AFTER, BEFORE_EDGE, COLUMN, CURVE, drawing, legend_above


def draw_loss(metrics: Mapping[str, Any], path: Path) -> None:
    """Training and validation loss by step, with the entropy of the training targets' unigrams as a line. A star
    marks the lowest validation loss of a training that looks for it."""
    with drawing(path, COLUMN, 2.6) as figure:
        axes = figure.subplots()
        handles = []
        for key, name, look in (
            ("loss", "training", {"color": AFTER, "linewidth": 1.0}),
            ("validation_loss", "validation", {"color": CURVE, "marker": "o", "markersize": 3}),
        ):
            points = [(point["step"], point[key]) for point in metrics["history"] if key in point]
            if points:
                handles += axes.plot(*zip(*points, strict=True), label=name, **look)
        if "best_validation_step" in metrics:
            step, loss = metrics["best_validation_step"], metrics["best_validation_loss"]
            label = f"lowest validation loss: {loss:.3f} at step {step:,}"
            look = {"marker": "*", "markersize": 9, "linestyle": "none"}
            handles += axes.plot([step], [loss], color=BEFORE_EDGE, label=label, **look)
        entropy = metrics["target_unigram_entropy_nats"]
        if entropy is not None:
            label = "entropy of the training targets' unigrams"
            handles.append(axes.axhline(entropy, color=BEFORE_EDGE, linewidth=0.8, linestyle="--", label=label))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per target id)")
        legend_above(figure, handles, columns=2)
