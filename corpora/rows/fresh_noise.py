"""Turns causal rows into span-corruption rows, with fresh noise in each epoch.

A row's noise is keyed by (seed, epoch, file, row number), so ranks, batches and resuming don't change it.
"""

from __future__ import annotations

import bisect

import msgspec
import numpy as np
import numpy.typing as npt

from corpora import randomness
from corpora.errors import BadArgument
from corpora.rows.order import Window
from corpora.rows.split_reader import Rows, SplitReader
from corpora.tokens import span_corruption
from corpora.tokens.denoisers import SpanCorruptionSettings
from corpora.tokens.facts import ShardFacts
from corpora.tokens.span_corruption import RowShape

Ids = npt.NDArray[np.unsignedinteger]
Keys = npt.NDArray[np.uint64]


class FreshNoise:
    """Corrupts rows of ids into `input_ids` and `labels`.

    facts: the shards' facts, as if they had been built with this noise.
    Raises BadArgument for rows that aren't causal, or too narrow or wide for the noise, and for too few sentinels.
    """

    def __init__(self, settings: SpanCorruptionSettings, facts: ShardFacts, reader: SplitReader, seed: int) -> None:
        self.facts = corrupted_facts(facts, settings)
        if "num_tokens" in reader.columns:
            raise BadArgument(
                "span_corruption needs full rows, but these are padded where packing left them short: build causal "
                "shards with --packing concatenate"
            )
        if facts.eos_id is None:
            raise BadArgument(
                "span_corruption ends inputs and labels with EOS, but the tokenizer has none: build the shards with "
                "a tokenizer that has an eos_token"
            )
        self._shape, self._random_roll = fitting_shape(facts, settings), settings.random_roll
        self._sentinels = _sentinels(facts, self._shape.num_noise_spans)
        self._eos_id, self._pad_id = facts.eos_id, facts.pad_id
        self._reader, self._seed = reader, seed
        self._keys: tuple[int, Window, Keys] | None = None

    def keys(self, epoch: int, window: Window) -> Keys:
        """uint64[window.rows], for a window's rows in stored order. The keys of the last window are cached."""
        if self._keys is None or self._keys[:2] != (epoch, window):
            keys = [
                randomness.keys(randomness.digest(self._seed, "fresh-noise", epoch, name), first, count)
                for name, first, count in map(self._reader.identity, window.groups)
            ]
            self._keys = epoch, window, np.concatenate(keys)
        return self._keys[2]

    def corrupt(self, rows: Ids, keys: Keys) -> Rows:
        """Columns of rows [n, raw_length], of the same dtype; row i's noise depends on keys[i] alone."""
        input_ids, labels = span_corruption.corrupt_keyed(
            rows,
            keys,
            self._shape,
            sentinels=self._sentinels,
            eos_id=self._eos_id,
            pad_id=self._pad_id,
            random_roll=self._random_roll,
        )
        return {"input_ids": input_ids, "labels": labels}


def corrupted_facts(facts: ShardFacts, settings: SpanCorruptionSettings) -> ShardFacts:
    """The facts of causal shards, as if they had been built with this noise. Raises BadArgument as `FreshNoise`."""
    shape = fitting_shape(facts, settings)
    _sentinels(facts, shape.num_noise_spans)
    return msgspec.structs.replace(
        facts,
        objective="span-corruption",
        sequence_length=shape.input_length,
        label_length=shape.label_length,
        target_unigram_entropy_nats=None,  # it was computed for other targets
    )


def fitting_shape(facts: ShardFacts, settings: SpanCorruptionSettings) -> RowShape:
    """The shape whose raw rows are as wide as the stored rows. Raises BadArgument, naming widths that would fit."""
    if facts.label_length is not None:
        raise BadArgument(
            f"span_corruption needs causal shards, but these hold {facts.objective} rows: leave it out, or build "
            "shards with --objective causal"
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
        f"rows of {width} ids don't match any input length at noise density {noise[0]} and mean span {noise[1]}"
        + (f": build causal shards with --sequence-length {fitting}" if fitting else ": change the noise")
    )


def _raw_length(sequence_length: int, density: float, mean: float) -> int:
    """The raw length of a row, or 0 if there is no such row."""
    try:
        return span_corruption.row_shape(sequence_length, density, mean).raw_length
    except ValueError:
        return 0


def _sentinels(facts: ShardFacts, spans: int) -> Ids:
    known = facts.sentinel_ids
    if known is None:
        raise BadArgument(
            "these shards record no sentinels: their tokenizer has none (--extra-ids), or an older tamiz built them"
        )
    if known.count < spans:
        raise BadArgument(
            f"a row would have {spans} noise spans, but the tokenizer of these shards has {known.count} sentinels: "
            "raise mean_noise_span_length, or lower noise_density"
        )
    return np.array([known.first + k * known.step for k in range(spans)], np.uint32)
