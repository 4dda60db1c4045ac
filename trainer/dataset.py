"""Batches of packed rows in an order that no number of devices and no interruption changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from corpora.errors import BadArgument, StaleOutput
from trainer import order
from trainer.shards import Rows, SplitReader, read_shards

Batch = dict[str, torch.Tensor]
_LOG = logging.getLogger(__name__)


class ShardDataset(IterableDataset[Batch]):
    """Batches of one split, epoch after epoch, without end.

    Step s of an epoch takes positions [s * batch_size, (s + 1) * batch_size) of the epoch's order; rank r of
    world_size gets every world_size-th of those from the r-th on. batch_size is global: the ranks' batches together
    have that many rows. Batches are dicts of int64 tensors: `input_ids` [b, sequence_length], for span corruption
    `labels` [b, label_length], and `num_tokens` [b] where packing leaves rows short.

    The rows that an epoch has beyond a whole number of batches are left out of it (other rows in each epoch). A split
    with fewer rows than batch_size makes one batch per epoch, going round its rows again until the batch is full.

    `state_dict` counts the batches handed to the caller. Rows come from memory, so a DataLoader needs no workers;
    it is refused with `num_workers` above 0, whose prefetched batches would be counted as handed over.

    Raises BadArgument for a split without rows or a rank, world_size or batch_size out of bounds, DamagedFile for
    shards that are unfinished or not what their manifest says.
    """

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _check_sizes(batch_size, rank, world_size)
        shards = read_shards(path)
        self.facts = shards.facts
        self.batch_size = batch_size
        self._key = {"fingerprint": shards.fingerprint, "split": split, "batch_size": batch_size, "seed": seed}
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._reader = SplitReader(shards, split)
        self.rows = sum(self._reader.group_rows)
        self.steps_per_epoch = max(1, self.rows // batch_size)
        self._epoch = self._step = 0
        self._windows: tuple[int, list[order.Window]] | None = None
        self._loaded: tuple[tuple[int, int], Rows] | None = None
        if self.rows < batch_size:
            _LOG.warning("%s: split %r has %d rows, fewer than batch_size %d: each batch repeats some",
                         path, split, self.rows, batch_size)  # fmt: skip

    def __iter__(self) -> Iterator[Batch]:
        if get_worker_info() is not None:
            raise BadArgument("ShardDataset counts the batches it hands out: use DataLoader(..., num_workers=0)")
        while True:
            batch = self.batch(self._epoch, self._step)
            self._step += 1
            if self._step == self.steps_per_epoch:
                self._epoch, self._step = self._epoch + 1, 0
            yield batch

    def batch(self, epoch: int, step: int) -> Batch:
        """This rank's rows of one step of one epoch; leaves the state as it is."""
        first = step * self.batch_size
        positions = np.arange(first, first + self.batch_size)[self._rank :: self._world_size] % self.rows
        windows = self._epoch_windows(epoch)
        parts = []
        while len(positions):
            window = windows[np.searchsorted([w.start for w in windows], positions[0], side="right") - 1]
            inside = (positions >= window.start) & (positions < window.start + window.rows)
            taken = len(positions) if inside.all() else int(np.argmin(inside))
            rows = self._window_rows(epoch, window)
            parts.append({name: array[positions[:taken] - window.start] for name, array in rows.items()})
            positions = positions[taken:]
        return {
            name: torch.from_numpy(np.concatenate([p[name] for p in parts]).astype(np.int64)) for name in parts[0]
        }

    def _epoch_windows(self, epoch: int) -> list[order.Window]:
        if self._windows is None or self._windows[0] != epoch:
            self._windows = (epoch, order.windows(self._reader.group_rows, self._seed, epoch))
        return self._windows[1]

    def _window_rows(self, epoch: int, window: order.Window) -> Rows:
        """The window's rows in the epoch's order; the last window asked for stays in memory."""
        if self._loaded is None or self._loaded[0] != (epoch, window.number):
            self._loaded = None  # frees the old window before the new one is read
            groups = [self._reader.read(group) for group in window.groups]
            rows = order.rows_of(window, self._seed, epoch)
            joined = {name: np.concatenate([g[name] for g in groups])[rows] for name in groups[0]}
            self._loaded = ((epoch, window.number), joined)
        return self._loaded[1]

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch is, and the fingerprint of the rows and of their order. The same on every rank."""
        return {"epoch": self._epoch, "step": self._step, **self._key}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state`, on any number of ranks. Raises StaleOutput where the order is another one."""
        changed = [
            f"{name}: {state.get(name)!r} -> {value!r}"
            for name, value in self._key.items()
            if state.get(name) != value
        ]
        if changed:
            raise StaleOutput(f"this state belongs to other batches ({'; '.join(changed)}); start anew without it")
        self._epoch, self._step = int(state["epoch"]), int(state["step"])


def _check_sizes(batch_size: int, rank: int, world_size: int) -> None:
    if batch_size < 1:
        raise BadArgument(f"batch_size is {batch_size}; it must be at least 1")
    if not 1 <= world_size <= batch_size:
        raise BadArgument(f"world_size is {world_size}; it must be from 1 to batch_size ({batch_size})")
    if not 0 <= rank < world_size:
        raise BadArgument(f"rank is {rank}; it must be from 0 to world_size - 1 ({world_size - 1})")
