"""Finds the documents nearest each decile of perplexity, in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from corpora.sampling.histogram import LogHistogram
from tamiz.report.rows import Floats, ItemRows

DOCUMENTS = 10  # per decile
DECILES = tuple(range(0, 101, 10))  # 0 and 100: the lowest and the highest perplexities


@dataclass(frozen=True, order=True)
class Pick:
    """The place of a document. Ordered by distance, ties by name and row. `item` is the work item that reads it."""

    distance: float
    name: str
    row: int
    item: str = field(compare=False)
    perplexity: float = field(compare=False)
    length: int = field(compare=False)


@dataclass
class Decile:
    """The documents nearest `perplexity`, which is a percentile (`percent`) of `language`; nearest first."""

    language: str
    percent: int
    perplexity: float
    picks: list[Pick] = field(default_factory=list)

    def distances(self, perplexities: Floats) -> Floats:
        """float64[n]. For percent 0 and 100, the most extreme document counts as the nearest."""
        if self.percent == 0:
            return perplexities
        return -perplexities if self.percent == 100 else np.abs(perplexities - self.perplexity)

    def add(self, item: ItemRows, mine: np.ndarray) -> None:
        """Adds the rows of an item. mine int64[m], ascending: the indices of the rows in this language."""
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
    """int64[<= count]: the indices of the `count` smallest values; the first ones among equal values."""
    if len(distances) <= count:
        return np.arange(len(distances))
    bound = np.partition(distances, count - 1)[count - 1]
    below = np.flatnonzero(distances < bound)
    level = np.flatnonzero(distances == bound)[: count - len(below)]
    return np.concatenate([below, level])


def deciles(language: str, histogram: LogHistogram) -> list[Decile]:
    """The deciles of a language, still without documents. The histogram must not be empty."""
    return [Decile(language, percent, float(histogram.quantile(percent / 100))) for percent in DECILES]


def fill(wanted: list[Decile], items: Iterable[ItemRows]) -> None:
    """Fills the deciles in one pass over the scores. The result doesn't depend on how files were split into items."""
    for item in items:
        for code, language in enumerate(item.languages):
            mine = np.flatnonzero(item.language == code)
            for decile in wanted:
                if decile.language == language and len(mine):
                    decile.add(item, mine)
