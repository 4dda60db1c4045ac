"""Batches of packed rows as torch tensors: adds tensors and pinned memory to `corpora.rows`."""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from corpora.errors import BadArgument
from corpora.rows.batches import filled, joined_shape
from corpora.rows.blend import Blend, Given, opened
from corpora.rows.order import Ints
from corpora.rows.recycling import Recycler
from corpora.rows.stream import BatchStream
from corpora.tokens.denoisers import SpanCorruptionSettings

Batch = dict[str, torch.Tensor]
SHARING_LOADERS = (
    "DataLoaderDispatcher",
    "IterableDatasetShard",
)  # accelerate's: give each process a part


class ShardDataset(IterableDataset[Batch]):
    """Like `corpora.rows.ShardRows`, with tensors in place of arrays: an endless stream of batches of one split,
    epoch after epoch.

    pin_memory: put batches into pinned memory, from which a GPU copies asynchronously; None: if there is a GPU. A
    DataLoader needs no workers, and `num_workers` above 0 is refused, because its prefetched batches would count as
    used.
    """

    def __init__(
        self,
        path: Given | Blend,
        split: str = "train",
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        span_corruption: SpanCorruptionSettings | None = None,
        with_documents: bool = False,
        pin_memory: bool | None = None,
        prefetch: int = 2,
    ) -> None:
        self._stream: BatchStream[torch.Tensor] = BatchStream(
            opened(path), split, lambda: Tensors(pinned=uses_pinned_memory(pin_memory)), batch_size=batch_size,
            seed=seed, rank=rank, world_size=world_size, span_corruption=span_corruption,
            with_documents=with_documents, prefetch=prefetch,
        )  # fmt: skip
        self.facts, self._world_size = self._stream.facts, world_size
        self.batch_size, self.rows, self.steps_per_epoch = batch_size, self._stream.rows, self._stream.steps_per_epoch

    def __repr__(self) -> str:
        return repr(self._stream).replace(type(self._stream).__name__, type(self).__name__, 1)

    def __len__(self) -> int:
        """Batches in an epoch: steps_per_epoch. Iterating goes on with the next epoch, without end."""
        return len(self._stream)

    def __iter__(self) -> Generator[Batch, None, None]:
        if get_worker_info() is not None:
            raise BadArgument("ShardDataset counts the batches it hands out: use DataLoader(..., num_workers=0)")
        if self._world_size > 1 and _is_shared_out():
            raise BadArgument(
                "accelerate shares out the rows of a prepared loader among its processes, as this ShardDataset does "
                "already, by rank: rows would be skipped; leave it out of prepare()"
            )
        return iter(self._stream)

    def batch(self, epoch: int, step: int) -> Batch:
        """This rank's rows of one step of one epoch. Leaves the state as it is."""
        return self._stream.batch(epoch, step)

    def rows_read(self, steps: int) -> list[int]:
        """Like `BatchStream.rows_read`."""
        return self._stream.rows_read(steps)

    def state_dict(self) -> dict[str, Any]:
        """Like `BatchStream.state_dict`."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Like `BatchStream.load_state_dict`."""
        self._stream.load_state_dict(state)


def _is_shared_out() -> bool:
    """Whether a loader of accelerate that shares out rows is asking."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = type(frame.f_locals.get("self"))
        if owner.__name__ in SHARING_LOADERS and owner.__module__.startswith("accelerate."):
            return True
        frame = frame.f_back
    return False


class Tensors:
    """Batches of int64 tensors, in memory that is reused."""

    def __init__(self, *, pinned: bool) -> None:
        self._memory = Recycler()
        self._device = torch.cuda.current_device() if pinned else None

    def begin_thread(self) -> None:
        """Makes the calling thread pin memory for the device that was current when this object was made."""
        if self._device is not None:
            torch.cuda.set_device(self._device)

    def joined(self, parts: list[np.ndarray], places: Ints | None = None) -> torch.Tensor:
        """int64[rows of all parts, ...]."""
        shape = joined_shape(parts)
        if self._device is None:
            whole = torch.from_numpy(self._memory.empty(shape))
        else:  # torch recycles pinned memory itself
            whole = torch.empty(shape, dtype=torch.int64, pin_memory=True)
        filled(whole.numpy(), parts, places)
        return whole


def uses_pinned_memory(wanted: bool | None) -> bool:
    """Whether to pin memory; None: if there is a GPU. Raises BadArgument if it is wanted but there is no GPU."""
    available = torch.cuda.is_available()
    if wanted and not available:
        raise BadArgument("pin_memory is set but torch finds no GPU: leave it out")
    return available if wanted is None else wanted
