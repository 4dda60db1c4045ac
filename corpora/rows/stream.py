"""Batches of packed rows, in an order that doesn't depend on the number of devices or on interruptions."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from corpora.errors import BadArgument, StaleOutput
from corpora.rows import mixture, order
from corpora.rows.batches import ArrayMaker, BatchReader, Place, Reader, Share
from corpora.rows.blend import Blend, named, require_same_columns
from corpora.rows.fresh_noise import FreshNoise, corrupted_facts
from corpora.rows.mixed_batches import MixedBatchReader
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
        shards: Shards | Blend,
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
        sources = shards.sources if isinstance(shards, Blend) else (shards,)
        self._readers = [source.split(split, with_documents=with_documents) for source in sources]
        self._noises = [
            FreshNoise(span_corruption, source.facts, reader, seed) if span_corruption else None
            for source, reader in zip(sources, self._readers, strict=True)
        ]
        self.facts = corrupted_facts(shards.facts, span_corruption) if span_corruption else shards.facts
        self._rows = [int(reader.group_rows.sum()) for reader in self._readers]
        self._window_groups = [source.facts.window_groups for source in sources]
        self._mixture = shards.mixture(split) if isinstance(shards, Blend) else None
        self.batch_size, self.rows = batch_size, self._mixture.rows if self._mixture else self._rows[0]
        self.steps_per_epoch = max(1, self.rows // batch_size)
        self._fingerprint = _fingerprint(shards, split, seed, span_corruption)
        self._share, self._named = Share(batch_size, rank, world_size), named(shards)
        self._make_arrays, self._prefetch = make_arrays, prefetch
        self._place = Place(0, 0)
        self._direct: Reader[Array] | None = None
        if self.rows < batch_size:
            _LOG.warning("%s: split %r has %d rows, fewer than batch_size %d: each batch repeats some",
                         self._named, split, self.rows, batch_size)  # fmt: skip

    def __repr__(self) -> str:
        fingerprint, share = self._fingerprint, self._share
        return (
            f"{type(self).__name__}({self._named!r}, {fingerprint['split']!r}, batch_size={self.batch_size}, "
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

    def _batch_reader(self, arrays: ArrayMaker[Array], *, read_ahead: bool) -> Reader[Array]:
        seed, parts = self._fingerprint["seed"], (self._readers, self._window_groups, self._rows, self._noises)
        readers = [
            BatchReader(Windows(reader, seed, groups, read_ahead=read_ahead), rows, self._share, noise, arrays)
            for reader, groups, rows, noise in zip(*parts, strict=True)
        ]
        if self._mixture is None:
            return readers[0]
        return MixedBatchReader(readers, self._rows, self._mixture, self._share, arrays)

    def _after(self, place: Place) -> Place:
        return self._begin(Place(place.epoch, place.row + self.batch_size))

    def _begin(self, place: Place) -> Place:
        """The place itself, or the beginning of the next epoch if no whole batch is left."""
        whole = place.row == 0 or place.row + self.batch_size <= self.rows
        return place if whole else Place(place.epoch + 1, 0)

    def rows_read(self, steps: int) -> list[int]:
        """How many rows of each source the first steps of a training read, over all ranks."""
        if self._mixture is None:
            return [steps * self.batch_size]
        epochs, rest = divmod(steps, self.steps_per_epoch)
        whole, some = (self._mixture.read(n * self.batch_size) for n in (self.steps_per_epoch, rest))
        return [int(count) for count in epochs * whole + some]

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


def _fingerprint(
    shards: Shards | Blend, split: str, seed: int, span_corruption: SpanCorruptionSettings | None
) -> dict[str, Any]:
    """What determines rows and order, as plain data."""
    sources = shards.sources if isinstance(shards, Blend) else (shards,)
    known: dict[str, Any] = {
        "shards": [source.fingerprint for source in sources],
        "tokenizer": shards.facts.tokenizer_sha256,
        "split": split,
        "seed": seed,
        "order": order.VERSION,
        "window_groups": [source.facts.window_groups for source in sources],
        "span_corruption": span_corruption.asdict() if span_corruption else None,
    }
    if isinstance(shards, Blend):
        require_same_columns(sources, split)
        return {**known, "mixture": {"version": mixture.VERSION, "rows": shards.counts(split)}}
    return {name: value[0] if isinstance(value, list) else value for name, value in known.items()}


def _check_sizes(batch_size: int, rank: int, world_size: int, prefetch: int) -> None:
    if batch_size < 1:
        raise BadArgument(f"batch_size is {batch_size}; it must be at least 1")
    if not 1 <= world_size <= batch_size:
        raise BadArgument(f"world_size is {world_size}; it must be from 1 to batch_size ({batch_size})")
    if not 0 <= rank < world_size:
        raise BadArgument(f"rank is {rank}; it must be from 0 to world_size - 1 ({world_size - 1})")
    if prefetch < 0:
        raise BadArgument(f"prefetch is {prefetch}; it must be at least 0")
