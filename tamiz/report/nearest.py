"""The documents nearest each decile of perplexity, found in one pass; a bounded number of them is kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from corpora.sampling.histogram import LogHistogram
from tamiz.report.rows import Floats, ItemRows

DOCUMENTS = 10  # a decile
DECILES = tuple(range(0, 101, 10))  # 0 and 100: the lowest and the highest perplexities


@dataclass(frozen=True, order=True)
class Pick:
    """A document by its place; ordered by distance, ties by name and row. `item` is the work item that reads it."""

    distance: float
    name: str
    row: int
    item: str = field(compare=False)
    perplexity: float = field(compare=False)
    length: int = field(compare=False)


@dataclass
class Decile:
    """The documents nearest `perplexity`, the percent-th percentile of `language`; nearest first."""

    language: str
    percent: int
    perplexity: float
    picks: list[Pick] = field(default_factory=list)

    def distances(self, perplexities: Floats) -> Floats:
        """float64[n]. At the lowest and the highest, the most extreme document is the nearest."""
        if self.percent == 0:
            return perplexities
        return -perplexities if self.percent == 100 else np.abs(perplexities - self.perplexity)

    def add(self, item: ItemRows, mine: np.ndarray) -> None:
        """Adds the rows of an item. mine int64[m], ascending: which of them are in this language."""
        distances = self.distances(item.perplexities[mine])
        chosen = _smallest(distances, DOCUMENTS)
        picks = [
            Pick(
                distance=float(distances[place]),
                name=item.file,
                row=int(item.rows[mine[place]]),
                item=item.item,
                perplexity=float(item.perplexities[mine[place]]),
                length=int(item.lengths[mine[place]]),
            )
            for place in chosen.tolist()
        ]
        self.picks = sorted(self.picks + picks)[:DOCUMENTS]


def _smallest(distances: Floats, count: int) -> np.ndarray:
    """int64[<= count]: the indices of the `count` smallest values; among equals, the first."""
    if len(distances) <= count:
        return np.arange(len(distances))
    bound = np.partition(distances, count - 1)[count - 1]
    below = np.flatnonzero(distances < bound)
    level = np.flatnonzero(distances == bound)[: count - len(below)]
    return np.concatenate([below, level])


def deciles(language: str, histogram: LogHistogram) -> list[Decile]:
    """The deciles of a language, without documents yet. The histogram must not be empty."""
    return [Decile(language, percent, float(histogram.quantile(percent / 100))) for percent in DECILES]


def fill(wanted: list[Decile], items: Iterable[ItemRows]) -> None:
    """One pass over the scores. How files were cut into items makes no difference."""
    for item in items:
        for code, language in enumerate(item.languages):
            mine = np.flatnonzero(item.language == code)
            for decile in wanted:
                if decile.language == language and len(mine):
                    decile.add(item, mine)
