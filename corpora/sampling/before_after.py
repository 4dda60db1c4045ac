"""Perplexities before and after the draw, in histograms that a manifest can hold: for the plot of a card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from corpora.sampling.histogram import Floats, LogHistogram, Plain

MOST_GROUPS = 6  # in a manifest


class Histograms(TypedDict):
    """As JSON. `after` is the part of `before` that was kept."""

    before: Plain
    after: Plain


def histograms(perplexity: Floats, kept: npt.NDArray[np.bool_]) -> Histograms:
    """perplexity float64[n], kept bool[n]."""
    return _of(LogHistogram.of(perplexity), LogHistogram.of(perplexity[kept]))


def sum_histograms(parts: Iterable[Mapping[str, Histograms]]) -> dict[str, Histograms]:
    """The sums of all groups, which don't depend on the order."""
    before: dict[str, list[LogHistogram]] = {}
    after: dict[str, list[LogHistogram]] = {}
    for part in parts:
        for name, both in part.items():
            before.setdefault(name, []).append(LogHistogram.from_builtins(both["before"]))
            after.setdefault(name, []).append(LogHistogram.from_builtins(both["after"]))
    return {name: _of(LogHistogram.sum(before[name]), LogHistogram.sum(after[name])) for name in before}


def largest_groups(summed: Mapping[str, Histograms]) -> dict[str, Histograms]:
    """The groups with the most documents, ties by name."""
    largest = sorted(summed, key=lambda name: (-sum(summed[name]["before"]["counts"]), name))
    return {name: summed[name] for name in largest[:MOST_GROUPS]}


def _of(before: LogHistogram, after: LogHistogram) -> Histograms:
    return {"before": before.coarser().to_builtins(), "after": after.coarser().to_builtins()}
