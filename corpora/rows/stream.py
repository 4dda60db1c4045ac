"""Batches of packed rows, in an order that doesn't depend on the number of devices or on interruptions."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from corpora.errors import BadArgument, StaleOutput
from corpora.rows import order
from corpora.rows.batches import ArrayMaker, BatchReader, Place, Share
from corpora.rows.fresh_noise import FreshNoise
from corpora.rows.prefetch import Prefetcher
from corpora.rows.shards import Shards
from corpora.rows.windows import Windows
from corpora.tokens.denoisers import SpanCorruptionSettings

_LOG = logging.getLogger(__name__)
Array = TypeVar("Array")


class BatchStream(Generic[Array]):
    """The common base of `ShardRows` and the trainer's `ShardDataset`; see there. make_arrays: called per iteration.

    facts: describe the rows in batches. rows: the number per epoch.
    """

    def __init__(
        self,
        shards: Shards,
        split: str,
        make_arrays: Callable[[], ArrayMaker[Array]],
        *,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        span_corruption: SpanCorruptionSettings | None,
        with_documents: bool,
        prefetch: int,
    ) -> None:
        _check_sizes(batch_size, rank, world_size, prefetch)
        self._reader = shards.split(split, with_documents=with_documents)
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
        self._share, self._folder = Share(batch_size, rank, world_size), shards.folder
        self._make_arrays, self._prefetch = make_arrays, prefetch
        self._place = Place(0, 0)
        self._direct: BatchReader[Array] | None = None
        if self.rows < batch_size:
            _LOG.warning("%s: split %r has %d rows, fewer than batch_size %d: each batch repeats some",
                         shards.folder, split, self.rows, batch_size)  # fmt: skip

    def __repr__(self) -> str:
        fingerprint, share = self._fingerprint, self._share
        return (
            f"{type(self).__name__}({str(self._folder)!r}, {fingerprint['split']!r}, batch_size={self.batch_size}, "
            f"seed={fingerprint['seed']}, rank={share.rank}, world_size={share.world_size}): {self.rows:,} rows, "
            f"{self.steps_per_epoch:,} steps per epoch"
        )

    def __len__(self) -> int:
        """Batches in an epoch: steps_per_epoch. Iterating goes on with the next epoch, without end."""
        return self.steps_per_epoch

    def __iter__(self) -> Generator[dict[str, Array], None, None]:
        arrays = self._make_arrays()
        with contextlib.ExitStack() as stack:
            reader = stack.enter_context(self._batch_reader(arrays, read_ahead=self._prefetch > 0))
            ahead = stack.enter_context(Prefetcher(reader.batch, self._after, self._prefetch, arrays.begin_thread))
            while True:
                batch = ahead.get(self._place)
                self._place = self._after(self._place)
                yield batch

    def batch(self, epoch: int, step: int) -> dict[str, Array]:
        """This rank's rows of one step of one epoch. Doesn't change the state."""
        if not 0 <= step < self.steps_per_epoch:
            raise BadArgument(f"step is {step}; an epoch has steps 0 to {self.steps_per_epoch - 1}")
        if self._direct is None:
            self._direct = self._batch_reader(self._make_arrays(), read_ahead=False)
        return self._direct.batch(Place(epoch, step * self.batch_size))

    def _batch_reader(self, arrays: ArrayMaker[Array], *, read_ahead: bool) -> BatchReader[Array]:
        window_groups, seed = self.facts.window_groups, self._fingerprint["seed"]
        windows = Windows(self._reader, seed, window_groups, read_ahead=read_ahead)
        return BatchReader(windows, self.rows, self._share, self._noise, arrays)

    def _after(self, place: Place) -> Place:
        return self._begin(Place(place.epoch, place.row + self.batch_size))

    def _begin(self, place: Place) -> Place:
        """The place itself, or the beginning of the next epoch if no whole batch is left."""
        whole = place.row == 0 or place.row + self.batch_size <= self.rows
        return place if whole else Place(place.epoch + 1, 0)

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch begins (`row` is a position in the epoch's order), and what determines rows and order.
        The same on every rank."""
        return {**self._place._asdict(), "fingerprint": dict(self._fingerprint)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state`, on any number of ranks. With a different batch_size, batches begin at the
        state's row: no row comes twice in the epoch, and last rows that don't fill a batch are left out.

        Raises StaleOutput, naming the differences, if rows or order differ; BadArgument for a row out of bounds.
        """
        self._require_same(state.get("fingerprint"))
        epoch, row = state.get("epoch"), state.get("row")
        if not (isinstance(epoch, int) and isinstance(row, int) and epoch >= 0 and 0 <= row < self.rows):
            raise BadArgument(f"this state is at epoch {epoch}, row {row}; an epoch has rows 0 to {self.rows - 1}")
        self._place = self._begin(Place(epoch, row))

    def _require_same(self, fingerprint: Any) -> None:
        saved = fingerprint if isinstance(fingerprint, dict) else {}
        changed = [
            f"{name}: {saved.get(name)!r} -> {value!r}"
            for name, value in self._fingerprint.items()
            if saved.get(name) != value
        ]
        if changed:
            raise StaleOutput(
                f"this state was saved for different data ({'; '.join(changed)}): use the original settings, or "
                "start fresh without it"
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
