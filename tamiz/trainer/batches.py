"""One rank's batches: rows gathered from windows, corrupted where asked, widened to int64."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch

from corpora.errors import BadArgument
from corpora.rows.fresh_noise import FreshNoise
from corpora.rows.order import Ints
from corpora.rows.split_reader import Rows
from corpora.rows.windows import Windows
from tamiz.trainer.recycling import Recycler

Batch = dict[str, torch.Tensor]


class Place(NamedTuple):
    """Where a batch begins: a position of an epoch's order."""

    epoch: int
    row: int


class Share(NamedTuple):
    """Which rows of a global batch are this rank's."""

    batch_size: int
    rank: int
    world_size: int


class BatchReader:
    """Makes batches, in whatever order they are asked for. A context manager around its windows.

    rows: of an epoch. noise: what corrupts causal rows. pinned: whether batches lie in pinned memory.
    """

    def __init__(self, windows: Windows, rows: int, share: Share, noise: FreshNoise | None, *, pinned: bool) -> None:
        self._windows, self._rows, self._share, self._noise = windows, rows, share, noise
        self._memory = Recycler()
        self._device = torch.cuda.current_device() if pinned else None

    def __enter__(self) -> Self:
        self._windows.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._windows.__exit__(*error)

    def begin_thread(self) -> None:
        """Makes a thread pin memory for the device of the thread that made this reader."""
        if self._device is not None:
            torch.cuda.set_device(self._device)

    def batch(self, place: Place) -> Batch:
        """The rank's rows of the global batch that begins at `place`."""
        positions = np.arange(place.row, place.row + self._share.batch_size)
        positions = positions[self._share.rank :: self._share.world_size] % self._rows
        parts: list[Rows] = []
        while len(positions):
            parts.append(self._from_one_window(place.epoch, positions))
            positions = positions[len(parts[-1]["input_ids"]) :]
        return {name: self._widened([part[name] for part in parts]) for name in parts[0]}

    def _from_one_window(self, epoch: int, positions: Ints) -> Rows:
        """The rows of as many of the first positions as lie in one window."""
        loaded = self._windows.at(epoch, int(positions[0]))
        places = positions - loaded.window.start
        outside = (places < 0) | (places >= loaded.window.rows)
        chosen = loaded.order[places[: int(outside.argmax()) if outside.any() else len(places)]]
        rows = {name: values[chosen] for name, values in loaded.rows.items()}
        if self._noise is None:
            return rows
        return self._noise.corrupt(rows["input_ids"], self._noise.keys(epoch, loaded.window)[chosen])

    def _widened(self, parts: list[np.ndarray]) -> torch.Tensor:
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        if self._device is None:
            whole = self._memory.empty(shape)
        else:  # torch recycles pinned memory itself
            whole = torch.empty(shape, dtype=torch.int64, pin_memory=True)
        np.concatenate(parts, out=whole.numpy())
        return whole


def uses_pinned_memory(asked: bool | None) -> bool:
    """None: where there is a GPU. Raises BadArgument where it is asked for and there is none."""
    available = torch.cuda.is_available()
    if asked and not available:
        raise BadArgument("pin_memory is set but torch sees no GPU: leave it out")
    return available if asked is None else asked
