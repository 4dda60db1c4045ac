"""One rank's batches of several folders: each folder's rows in its own order, at their places in the mixture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Generic, Self

import numpy as np

from corpora.rows.batches import Array, ArrayMaker, BatchReader, Place, Share
from corpora.rows.mixture import Mixture
from corpora.rows.order import Ints
from corpora.rows.split_reader import Rows


class MixedBatchReader(Generic[Array]):
    """As `BatchReader`, of several folders.

    readers: one per source, with its own windows and its own epochs. rows: how many each source has.
    """

    def __init__(
        self,
        readers: Sequence[BatchReader[Array]],
        rows: Sequence[int],
        mixture: Mixture,
        share: Share,
        arrays: ArrayMaker[Array],
    ) -> None:
        self._readers, self._rows, self._mixture, self._share, self._arrays = readers, rows, mixture, share, arrays
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for reader in self._readers:
            self._stack.enter_context(reader)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def batch(self, place: Place) -> dict[str, Array]:
        """The rank's rows of the global batch that begins at `place`, in the mixture's order."""
        positions = np.arange(place.row, place.row + self._share.batch_size)
        positions = positions[self._share.rank :: self._share.world_size] % self._mixture.rows
        sources, numbers = self._mixture.at(place.epoch, positions)
        where = np.argsort(sources, kind="stable")  # by source, and by position within a source
        ends = np.searchsorted(sources[where], np.arange(len(self._readers)), side="right")
        parts: list[Rows] = []
        for source, chosen in enumerate(np.split(numbers[where], ends[:-1])):
            parts += self._of_source(source, chosen)
        return {name: self._arrays.joined([part[name] for part in parts], where) for name in parts[0]}

    def _of_source(self, source: int, numbers: Ints) -> list[Rows]:
        """The rows with these numbers, counted over all of the source's epochs."""
        if not len(numbers):
            return []
        epochs, positions = np.divmod(numbers, self._rows[source])
        borders = np.flatnonzero(np.diff(epochs)) + 1
        runs = zip(np.split(epochs, borders), np.split(positions, borders), strict=True)
        return [part for epoch, run in runs for part in self._readers[source].parts(int(epoch[0]), run)]
