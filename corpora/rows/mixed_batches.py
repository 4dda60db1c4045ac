"""One rank's batches of several folders: each folder's rows in its own order, at their places in the mixture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
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
        parts: list[Rows] = []
        places: list[Ints] = []
        for source in np.unique(sources).tolist():
            chosen = np.flatnonzero(sources == source)
            parts += self._of_source(source, numbers[chosen])
            places.append(chosen)
        where = np.concatenate(places)
        return {name: self._arrays.joined([part[name] for part in parts], where) for name in parts[0]}

    def _of_source(self, source: int, numbers: Ints) -> Iterator[Rows]:
        """The rows with these numbers, counted over all of the source's epochs."""
        epochs, positions = np.divmod(numbers, self._rows[source])
        for epoch in np.unique(epochs).tolist():
            yield from self._readers[source].parts(epoch, positions[epochs == epoch])
