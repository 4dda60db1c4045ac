"""Causal rows as span-corruption rows, corrupted anew in each epoch.

A row's noise is keyed by (seed, epoch, its file, its number there): neither ranks nor batches nor resuming change it.
"""

from __future__ import annotations

import bisect

import msgspec
import numpy as np
import numpy.typing as npt

from corpora import randomness
from corpora.errors import BadArgument
from corpora.tokens import span_corruption
from corpora.tokens.span_corruption import RowShape
from trainer.settings import SpanCorruptionSettings
from trainer.shards import Rows, ShardFacts, SplitReader

Ids = npt.NDArray[np.unsignedinteger]
Keys = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class FreshNoise:
    """Corrupts rows of ids into `input_ids` and `labels`.

    facts: the shards' facts, as if they had been built with this noise.
    Raises BadArgument for rows that aren't causal, not of the width that the noise needs, or whose tokenizer has too
    few sentinels.
    """

    def __init__(self, settings: SpanCorruptionSettings, facts: ShardFacts, reader: SplitReader, seed: int) -> None:
        self.facts = corrupted_facts(facts, settings)
        if "num_tokens" in reader.columns:
            raise BadArgument(
                "span_corruption needs full rows, these are padded where packing left them short: build causal shards "
                "with --packing concatenate"
            )
        self._random_roll, self._names, self._seed = settings.random_roll, reader.names, seed
        self._shape = fitting_shape(facts, settings)
        self._sentinels, self._eos_id = _sentinels(facts, self._shape.num_noise_spans), facts.eos_id
        self._file_keys: tuple[int, Keys] | None = None

    def keys(self, epoch: int, files: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Keys:
        """uint64[n], from each row's file and its number there."""
        if self._file_keys is None or self._file_keys[0] != epoch:
            digests = [randomness.digest(self._seed, "fresh-noise", epoch, name) for name in self._names]
            self._file_keys = epoch, np.array([digest & 0xFFFFFFFFFFFFFFFF for digest in digests], np.uint64)
        return splitmix64(self._file_keys[1][files] + rows.astype(np.uint64) * _GOLDEN)

    def corrupt(self, rows: Ids, keys: Keys) -> Rows:
        """Columns of rows [n, raw_length], of the same dtype."""
        input_ids, labels = corrupted(
            rows, keys, self._shape, self._sentinels.astype(rows.dtype), self._eos_id, self._random_roll
        )
        return {"input_ids": input_ids, "labels": labels}


def corrupted(
    rows: Ids, keys: Keys, shape: RowShape, sentinels: Ids, eos_id: int, random_roll: bool
) -> tuple[Ids, Ids]:
    """Row i's noise depends on keys[i] alone."""
    input_ids = np.empty((len(rows), shape.input_length), rows.dtype)
    labels = np.empty((len(rows), shape.label_length), rows.dtype)
    for i, key in enumerate(keys.tolist()):
        generator = np.random.Generator(np.random.PCG64(key))
        one = span_corruption.corrupt_rows(
            rows[i : i + 1], generator, shape, sentinels=sentinels, eos_id=eos_id, random_roll=random_roll
        )
        input_ids[i], labels[i] = one[0][0], one[1][0]
    return input_ids, labels


def splitmix64(state: Keys) -> Keys:
    """SplitMix64's output for each state (Steele, Lea and Flood 2014)."""
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def corrupted_facts(facts: ShardFacts, settings: SpanCorruptionSettings) -> ShardFacts:
    """The facts of causal shards, as if they had been built with this noise. Raises BadArgument as `FreshNoise`."""
    shape = fitting_shape(facts, settings)
    _sentinels(facts, shape.num_noise_spans)
    return msgspec.structs.replace(
        facts,
        objective="span-corruption",
        sequence_length=shape.input_length,
        label_length=shape.label_length,
        target_unigram_entropy_nats=None,  # of other targets
    )


def fitting_shape(facts: ShardFacts, settings: SpanCorruptionSettings) -> RowShape:
    """The shape whose raw rows are as wide as the stored ones. Raises BadArgument, naming widths that would fit."""
    if facts.objective != "causal":
        raise BadArgument(
            f"span_corruption makes its rows from causal shards, these hold {facts.objective} rows: leave it out, or "
            "build shards with --objective causal"
        )
    width, noise = facts.sequence_length, (settings.noise_density, settings.mean_noise_span_length)
    if width < 2:
        raise BadArgument(f"rows of {width} ids are too narrow for span corruption")
    lengths = range(2, width + 2)
    place = bisect.bisect_left(lengths, width, key=lambda length: _raw_length(length, *noise))
    shapes = [
        span_corruption.row_shape(n, *noise) for n in lengths[max(0, place - 1) : place + 1] if _raw_length(n, *noise)
    ]
    for shape in shapes:
        if shape.raw_length == width:
            return shape
    fitting = " or ".join(str(shape.raw_length) for shape in shapes)
    raise BadArgument(
        f"rows of {width} ids fill no input row at noise density {noise[0]} and mean span {noise[1]}"
        + (f": build causal shards with --sequence-length {fitting}" if fitting else ": change the noise")
    )


def _raw_length(sequence_length: int, density: float, mean: float) -> int:
    """0 where there is no such row."""
    try:
        return span_corruption.row_shape(sequence_length, density, mean).raw_length
    except ValueError:
        return 0


def _sentinels(facts: ShardFacts, spans: int) -> Ids:
    known = facts.sentinel_ids
    if known is None:
        raise BadArgument("these shards don't say which ids are sentinels: build them again with this version")
    if known.count < spans:
        raise BadArgument(
            f"a row would have {spans} noise spans, the tokenizer of these shards has {known.count} sentinels: raise "
            "mean_noise_span_length, or lower noise_density"
        )
    return np.array([known.first + k * known.step for k in range(spans)], np.uint32)
