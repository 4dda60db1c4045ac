"""Texts to shards: the work on one item, and the last part that takes what the items' rows left over.

Account of a split: ids encoded + separators = rows x raw length + remainder (`unaccounted`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.encoding.flat import id_dtype
from corpora.randomness import generator
from corpora.tokens.concatenate import RowGroup, RowPacker, Tail
from corpora.tokens.objectives import Vocabulary, objective
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shards import ROW_GROUP_ROWS, ShardWriter
from corpora.tokens.split import SPLITS, is_validation


class TextEncoder(Vocabulary, Protocol):
    """A vocabulary that encodes: no special ids come out of text, none are added."""

    def encode_batch(self, texts: list[str], /) -> Sequence[npt.NDArray[np.integer]]: ...


class SplitShard(msgspec.Struct, frozen=True, kw_only=True):
    """One part of one split: what went in, what was written, what was left over."""

    documents: int
    ids_encoded: int
    separators: int
    rows: int
    raw_length: int  # ids of the stream that a row takes
    file: str | None  # relative to the shards' folder; None where there is no row
    tail: Tail
    target_counts: list[int]  # by id, over the rows written: [vocab_size]


class ItemShards(msgspec.Struct, frozen=True, kw_only=True):
    """What one work item wrote, by split."""

    part: str
    splits: dict[str, SplitShard]

    @property
    def documents(self) -> int:
        return sum(split.documents for split in self.splits.values())

    @property
    def files(self) -> list[str]:
        return [split.file for split in self.splits.values() if split.file is not None]


def build_item(
    batches: Iterable[list[str]], encoder: TextEncoder, settings: ShardSettings, *, folder: str | Path, part: str
) -> ItemShards:
    """Writes FOLDER/{train,validation}/PART.parquet from batches of texts, where they have a row.

    Streams: holds one batch and, per split, one row group. Equal texts in equal order give equal bytes, however
    they are batched. Noise is keyed by (split, part, row group).

    Raises:
        BadArgument: more noise spans in a row than the encoder has sentinels (before any text is read).
    """
    with contextlib.ExitStack() as stack:
        builders = _builders(stack, encoder, settings, folder, part)
        for texts in batches:
            documents: dict[str, list[npt.NDArray[np.integer]]] = {split: [] for split in SPLITS}
            for text, ids in zip(texts, encoder.encode_batch(texts), strict=True):
                held_out = is_validation(text, settings.validation_fraction, settings.seed)
                documents["validation" if held_out else "train"].append(ids)
            for split, builder in builders.items():
                builder.add(documents[split])
        return ItemShards(part=part, splits={split: builder.finish() for split, builder in builders.items()})


def finish_tails(
    items: Iterable[ItemShards], encoder: Vocabulary, settings: ShardSettings, *, folder: str | Path, part: str
) -> ItemShards:
    """Packs the items' tails, in the order given, into a last part per split.

    Its `documents`, `ids_encoded` and `separators` are 0: the items counted them. Its tails are the run's remainder,
    less than one row a split.
    """
    with contextlib.ExitStack() as stack:
        builders = _builders(stack, encoder, settings, folder, part)
        for item in items:
            for split, builder in builders.items():
                builder.add_tail(item.splits[split].tail)
        return ItemShards(part=part, splits={split: builder.finish() for split, builder in builders.items()})


def unaccounted(parts: Sequence[SplitShard]) -> int:
    """Ids of one split lost (> 0) or made up (< 0): 0 when all is right. The last part comes last."""
    entered = sum(part.ids_encoded + part.separators for part in parts)
    stored = sum(part.rows * part.raw_length for part in parts)
    return entered - stored - (len(parts[-1].tail.ids) if parts else 0)


def unigram_entropy_nats(counts: Sequence[int] | npt.NDArray[np.integer]) -> float:
    """Entropy of the distribution with these counts: the loss of a model that knows only how often each id occurs."""
    present = [int(count) for count in counts if count]
    total = sum(present)
    return -math.fsum(n / total * math.log(n / total) for n in present) if total else 0.0


class _SplitBuilder:
    """Packs, corrupts and writes one split of one part."""

    def __init__(
        self, encoder: Vocabulary, settings: ShardSettings, folder: str | Path, split: str, part: str
    ) -> None:
        self._objective = objective(settings, encoder)
        self._file = f"{split}/{part}.parquet"
        self._writer = ShardWriter(Path(folder) / self._file, self._objective.columns)
        self._packer = RowPacker(
            self._objective.raw_length,
            id_dtype(encoder.vocab_size),
            encoder.eos_id,
            group_rows=ROW_GROUP_ROWS,
        )
        self._noise_key = (settings.seed, split, part)
        self._groups = 0
        self._target_counts = np.zeros(encoder.vocab_size, np.int64)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)  # type: ignore[arg-type]

    def add(self, documents: list[npt.NDArray[np.integer]]) -> None:
        for group in self._packer.add(documents):
            self._write(group)

    def add_tail(self, tail: Tail) -> None:
        for group in self._packer.add_tail(tail):
            self._write(group)

    def finish(self) -> SplitShard:
        group, tail = self._packer.finish()
        self._write(group)
        return SplitShard(
            documents=self._packer.separators,
            ids_encoded=self._packer.ids,
            separators=self._packer.separators,
            rows=self._writer.rows,
            raw_length=self._objective.raw_length,
            file=self._file if self._writer.rows else None,
            tail=tail,
            target_counts=self._target_counts.tolist(),
        )

    def _write(self, group: RowGroup) -> None:
        if not len(group.rows):
            return
        seed, split, part = self._noise_key
        columns = self._objective.store(group, generator(seed, "noise", split, part, self._groups))
        self._writer.write(columns)
        self._groups += 1
        targets = self._objective.targets(columns).reshape(-1)
        self._target_counts += np.bincount(targets, minlength=len(self._target_counts))


def _builders(
    stack: contextlib.ExitStack, encoder: Vocabulary, settings: ShardSettings, folder: str | Path, part: str
) -> dict[str, _SplitBuilder]:
    return {split: stack.enter_context(_SplitBuilder(encoder, settings, folder, split, part)) for split in SPLITS}
