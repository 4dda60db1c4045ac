"""A look at all documents: which draws are the smallest? So a given number of documents is chosen by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from corpora.documents.item import WorkItem
from corpora.documents.reading import DocumentBatch, read_batches
from corpora.randomness import uniform
from corpora.stopping import go_on
from pipelines.merging import Left, merge_passes
from pipelines.once import ItemResult
from pipelines.stage import Pass

NAME = "draws"

Draws = npt.NDArray[np.float64]


def drawn(batch: DocumentBatch, seed: int) -> Iterator[float]:
    """A draw for each document, keyed by it alone."""
    for url, timestamp, text in zip(batch.urls, batch.timestamps, batch.texts, strict=True):
        yield uniform(seed, "evaluation", url, timestamp, text)


@dataclass(frozen=True)
class DrawWork:
    """Leaves the smallest draws of one item. Memory: one batch, and `number` draws."""

    out: str
    fingerprint: str
    number: int
    seed: int

    def __call__(self, item: WorkItem) -> ItemResult:
        found = np.zeros(0)
        for batch in read_batches(item):
            go_on()
            found = _smallest(self.number, found, np.fromiter(drawn(batch, self.seed), np.float64))
        written = Left(self.out, NAME).write(item.number, found.astype("<f8").tobytes())
        return ItemResult(name=item.name, number=item.number, scratch=[written])


def smallest_draws_passes(out: str, fingerprint: str, number: int, seed: int, items: list[WorkItem]) -> list[Pass]:
    merging = merge_passes(Left(out, NAME), fingerprint, len(items), partial(_merge, number), looks=True)
    return [Pass(DrawWork(out, fingerprint, number, seed), items, looks=True), *merging]


def largest_of_smallest(out: str, number: int, items: int) -> float:
    """The largest draw among the `number` documents with the smallest; 0 without documents."""
    found = np.frombuffer(_merge(number, Left(out, NAME).all(items)), "<f8")
    return float(found.max()) if len(found) else 0.0


def _merge(number: int, contents: Iterable[bytes]) -> bytes:
    found = np.zeros(0)
    for content in contents:
        found = _smallest(number, found, np.frombuffer(content, "<f8"))
    return found.astype("<f8").tobytes()


def _smallest(number: int, *parts: Draws) -> Draws:
    found = np.concatenate(parts)
    return found if len(found) <= number else np.partition(found, number - 1)[:number]
