"""One rank's batches: rows gathered from windows, corrupted where wanted, widened to int64."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from corpora.rows.fresh_noise import FreshNoise
from corpora.rows.order import Ints
from corpora.rows.recycling import Recycler
from corpora.rows.split_reader import Rows
from corpora.rows.windows import Windows

Array = TypeVar("Array")
Made = TypeVar("Made", covariant=True)


class Place(NamedTuple):
    """Where a batch begins: a position in an epoch's order."""

    epoch: int
    row: int


class Share(NamedTuple):
    """Which rows of a global batch are this rank's."""

    batch_size: int
    rank: int
    world_size: int


class ArrayMaker(Protocol[Made]):
    """Makes the arrays of batches, in the array type of one library."""

    def begin_thread(self) -> None:
        """Called once at the start of a thread that makes batches."""

    def joined(self, parts: list[np.ndarray], places: Ints | None = None) -> Made:
        """The concatenated parts, widened to int64. places: where each row goes, if not one after another."""


class NumpyArrays:
    """Batches of numpy arrays, in reused memory."""

    def __init__(self) -> None:
        self._memory = Recycler()

    def begin_thread(self) -> None:
        """Nothing to prepare."""

    def joined(self, parts: list[np.ndarray], places: Ints | None = None) -> npt.NDArray[np.int64]:
        """int64[rows of all parts, ...]."""
        return filled(self._memory.empty(joined_shape(parts)), parts, places)


class Reader(Protocol[Array]):
    """Makes batches in any order; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def batch(self, place: Place) -> dict[str, Array]:
        """The rank's rows of the global batch that begins at `place`."""


def joined_shape(parts: list[np.ndarray]) -> tuple[int, ...]:
    """The shape of the concatenated parts."""
    return (sum(len(part) for part in parts), *parts[0].shape[1:])


def filled(whole: npt.NDArray[np.int64], parts: list[np.ndarray], places: Ints | None) -> npt.NDArray[np.int64]:
    """`whole`, with the rows of all parts written to it; at `places`, if given."""
    if places is None:
        return np.concatenate(parts, out=whole)
    first = 0
    for part in parts:
        whole[places[first : first + len(part)]] = part
        first += len(part)
    return whole


class BatchReader(Generic[Array]):
    """Makes batches of one folder's rows in any order. A context manager around its windows.

    rows: the number per epoch. noise: corrupts causal rows.
    """

    def __init__(
        self, windows: Windows, rows: int, share: Share, noise: FreshNoise | None, arrays: ArrayMaker[Array]
    ) -> None:
        self._windows, self._rows, self._share, self._noise, self._arrays = windows, rows, share, noise, arrays

    def __enter__(self) -> Self:
        self._windows.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._windows.__exit__(*error)

    def batch(self, place: Place) -> dict[str, Array]:
        """The rank's rows of the global batch that begins at `place`."""
        positions = np.arange(place.row, place.row + self._share.batch_size)
        positions = positions[self._share.rank :: self._share.world_size] % self._rows
        parts = self.parts(place.epoch, positions)
        return {name: self._arrays.joined([part[name] for part in parts]) for name in parts[0]}

    def parts(self, epoch: int, positions: Ints) -> list[Rows]:
        """The rows at positions of an epoch, as stored, in parts that each come from one window."""
        parts: list[Rows] = []
        while len(positions):
            parts.append(self._from_one_window(epoch, positions))
            positions = positions[len(parts[-1]["input_ids"]) :]
        return parts

    def _from_one_window(self, epoch: int, positions: Ints) -> Rows:
        """The rows of the first positions, as far as these are in one window."""
        loaded = self._windows.at(epoch, int(positions[0]))
        places = positions - loaded.window.start
        outside = (places < 0) | (places >= loaded.window.rows)
        chosen = loaded.order[places[: int(outside.argmax()) if outside.any() else len(places)]]
        rows = {name: values[chosen] for name, values in loaded.rows.items()}
        if self._noise is None:
            return rows
        return self._noise.corrupt(rows["input_ids"], self._noise.keys(epoch, loaded.window)[chosen])
