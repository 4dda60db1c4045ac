"""Batches of packed rows in an order that no number of devices and no interruption changes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from corpora.errors import BadArgument, StaleOutput
from corpora.rows import order
from corpora.rows.fresh_noise import FreshNoise
from corpora.rows.prefetch import Prefetcher
from corpora.rows.shards import read_shards
from corpora.rows.split_reader import SplitReader
from corpora.rows.windows import Windows
from corpora.tokens.denoisers import SpanCorruptionSettings
from tamiz.trainer.batches import Batch, BatchReader, Place, Share, uses_pinned_memory

__all__ = ["Batch", "ShardDataset"]
_LOG = logging.getLogger(__name__)


class ShardDataset(IterableDataset[Batch]):
    """Batches of one split, epoch after epoch, without end.

    Step s of an epoch takes positions [s * batch_size, (s + 1) * batch_size) of the epoch's order; rank r of
    world_size gets every world_size-th of those from the r-th on. batch_size is global: the ranks' batches together
    have that many rows. Batches are dicts of int64 tensors: `input_ids` [b, sequence_length], `labels`
    [b, label_length] except for causal rows, `denoiser` [b] for ul2, and `num_tokens` [b] where packing leaves rows
    short.

    The rows that an epoch has beyond a whole number of batches are left out of it (other rows in each epoch). A split
    with fewer rows than batch_size makes one batch per epoch, going round its rows again until the batch is full.

    span_corruption: noise that turns causal rows into `input_ids` and `labels`, other noise in each epoch; the rows
    must be as wide as the raw length that it needs. pin_memory: batches lie where a GPU copies from without waiting;
    None does so where there is a GPU. prefetch: batches made ahead by a thread, while another reads the next rows; 0
    for no thread.

    `state_dict` counts the batches handed to the caller, not the ones made ahead. A DataLoader needs no workers, and
    is refused with `num_workers` above 0: its batches would be counted as handed over.

    Raises BadArgument for a split without rows, a rank, world_size or batch_size out of bounds or noise that doesn't
    fit the rows, DamagedFile for shards that are unfinished or not what their manifest says.
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
        span_corruption: SpanCorruptionSettings | None = None,
        pin_memory: bool | None = None,
        prefetch: int = 2,
    ) -> None:
        _check_sizes(batch_size, rank, world_size, prefetch)
        shards = read_shards(path)
        self._reader = SplitReader(shards, split)
        self._noise = FreshNoise(span_corruption, shards.facts, self._reader, seed) if span_corruption else None
        self.facts = self._noise.facts if self._noise else shards.facts
        self.batch_size, self.rows = batch_size, int(self._reader.group_rows.sum())
        self.steps_per_epoch = max(1, self.rows // batch_size)
        self._fingerprint: dict[str, Any] = {
            "shards": shards.fingerprint,
            "tokenizer": shards.facts.tokenizer_sha256,
            "split": split,
            "seed": seed,
            "order": order.VERSION,
            "window_groups": shards.facts.window_groups,
            "span_corruption": span_corruption.asdict() if span_corruption else None,
        }
        self._share = Share(batch_size, rank, world_size)
        self._pin_memory, self._prefetch = pin_memory, prefetch
        self._place = Place(0, 0)
        self._direct: BatchReader | None = None
        if self.rows < batch_size:
            _LOG.warning("%s: split %r has %d rows, fewer than batch_size %d: each batch repeats some",
                         path, split, self.rows, batch_size)  # fmt: skip

    def __iter__(self) -> Generator[Batch, None, None]:
        if get_worker_info() is not None:
            raise BadArgument("ShardDataset counts the batches it hands out: use DataLoader(..., num_workers=0)")
        with contextlib.ExitStack() as stack:
            reader = stack.enter_context(self._batch_reader(read_ahead=self._prefetch > 0))
            ahead = stack.enter_context(Prefetcher(reader.batch, self._after, self._prefetch, reader.begin_thread))
            while True:
                batch = ahead.get(self._place)
                self._place = self._after(self._place)
                yield batch

    def batch(self, epoch: int, step: int) -> Batch:
        """This rank's rows of one step of one epoch; leaves the state as it is."""
        if not 0 <= step < self.steps_per_epoch:
            raise BadArgument(f"step is {step}; an epoch has the steps 0 to {self.steps_per_epoch - 1}")
        if self._direct is None:
            self._direct = self._batch_reader(read_ahead=False)
        return self._direct.batch(Place(epoch, step * self.batch_size))

    def _batch_reader(self, *, read_ahead: bool) -> BatchReader:
        window_groups, seed = self.facts.window_groups, self._fingerprint["seed"]
        windows = Windows(self._reader, seed, window_groups, read_ahead=read_ahead)
        pinned = uses_pinned_memory(self._pin_memory)
        return BatchReader(windows, self.rows, self._share, self._noise, pinned=pinned)

    def _after(self, place: Place) -> Place:
        return self._begin(Place(place.epoch, place.row + self.batch_size))

    def _begin(self, place: Place) -> Place:
        """The place itself, or the next epoch's begin where no whole batch is left."""
        whole = place.row == 0 or place.row + self.batch_size <= self.rows
        return place if whole else Place(place.epoch + 1, 0)

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch begins (`row` is a position of the epoch's order), and what decides rows and order.
        The same on every rank."""
        return {**self._place._asdict(), "fingerprint": dict(self._fingerprint)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state`, on any number of ranks. With another batch_size too: batches then begin at its row,
        no row comes twice in the epoch, and the rest of it that makes no whole batch is left out.

        Raises StaleOutput where rows or order are others, naming what differs.
        """
        self._require_same(state.get("fingerprint"))
        epoch, row = state.get("epoch"), state.get("row")
        if not (isinstance(epoch, int) and isinstance(row, int) and epoch >= 0 and 0 <= row < self.rows):
            raise BadArgument(
                f"this state is at epoch {epoch}, row {row}; an epoch has the rows 0 to {self.rows - 1}"
            )
        self._place = self._begin(Place(epoch, row))

    def _require_same(self, fingerprint: Any) -> None:
        found = fingerprint if isinstance(fingerprint, dict) else {}
        changed = [
            f"{name}: {found.get(name)!r} -> {value!r}"
            for name, value in self._fingerprint.items()
            if found.get(name) != value
        ]
        if changed:
            raise StaleOutput(
                f"this state belongs to other batches ({'; '.join(changed)}): go on with what it was made from, or "
                "start anew without it"
            )


def _check_sizes(batch_size: int, rank: int, world_size: int, prefetch: int) -> None:
    if batch_size < 1:
        raise BadArgument(f"batch_size is {batch_size}; it must be at least 1")
    if not 1 <= world_size <= batch_size:
        raise BadArgument(f"world_size is {world_size}; it must be from 1 to batch_size ({batch_size})")
    if not 0 <= rank < world_size:
        raise BadArgument(f"rank is {rank}; it must be from 0 to world_size - 1 ({world_size - 1})")
    if prefetch < 0:
        raise BadArgument(f"prefetch is {prefetch}; it must be at least 0")
