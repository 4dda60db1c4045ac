"""What is stored for a group of raw rows, by objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.encoding.flat import id_dtype
from corpora.errors import BadArgument
from corpora.tokens import causal, span_corruption
from corpora.tokens.concatenate import RowGroup
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shards import Column, ColumnSpec

Ids = npt.NDArray[np.unsignedinteger]


class Vocabulary(Protocol):
    """What an objective asks of an encoder."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
    @property
    def num_sentinels(self) -> int: ...
    def sentinel_id(self, k: int, /) -> int:
        """The id that marks the k-th noise span, from 0."""


class Objective(Protocol):
    """Turns raw rows into columns."""

    @property
    def raw_length(self) -> int:
        """Ids of the stream that a row takes."""

    @property
    def columns(self) -> dict[str, ColumnSpec]: ...

    def store(self, group: RowGroup, generator: np.random.Generator) -> Mapping[str, Column]:
        """The columns of a row group. Only the noise draws from `generator`."""

    def targets(self, columns: Mapping[str, Column]) -> Ids:
        """The ids that a model is asked to predict."""


class SpanCorruption(msgspec.Struct, frozen=True):
    """`input_ids` and `labels` of T5's span corruption; EOS ends both."""

    shape: span_corruption.RowShape
    sentinels: Ids
    eos_id: int
    dtype: np.dtype[np.unsignedinteger]
    random_roll: bool

    @property
    def raw_length(self) -> int:
        return self.shape.raw_length

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        return {
            "input_ids": (self.shape.input_length, self.dtype),
            "labels": (self.shape.label_length, self.dtype),
        }

    def store(self, group: RowGroup, generator: np.random.Generator) -> Mapping[str, Column]:
        input_ids, labels = span_corruption.corrupt_rows(
            group.rows,
            generator,
            self.shape,
            sentinels=self.sentinels,
            eos_id=self.eos_id,
            random_roll=self.random_roll,
        )
        return {"input_ids": input_ids, "labels": labels}

    def targets(self, columns: Mapping[str, Column]) -> Ids:
        labels = columns["labels"]
        assert isinstance(labels, np.ndarray)
        return labels


class Causal(msgspec.Struct, frozen=True):
    """`input_ids` as they stand, and `document_starts`."""

    raw_length: int
    dtype: np.dtype[np.unsignedinteger]

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        return {"input_ids": (self.raw_length, self.dtype), "document_starts": (None, np.int32)}

    def store(self, group: RowGroup, generator: np.random.Generator) -> Mapping[str, Column]:
        del generator  # no noise
        starts = causal.document_starts(group.starts, len(group.rows), self.raw_length)
        return {"input_ids": group.rows, "document_starts": starts}

    def targets(self, columns: Mapping[str, Column]) -> Ids:
        rows = columns["input_ids"]
        assert isinstance(rows, np.ndarray)
        return causal.inputs_and_targets(rows)[1]


def objective(settings: ShardSettings, vocabulary: Vocabulary) -> Objective:
    """The objective that `settings` ask for.

    Raises:
        BadArgument: a row has more noise spans than the vocabulary has sentinels.
    """
    dtype = id_dtype(vocabulary.vocab_size)
    if settings.objective == "causal":
        return Causal(settings.sequence_length, dtype)
    shape = span_corruption.row_shape(
        settings.sequence_length, settings.noise_density, settings.mean_noise_span_length
    )
    _check_sentinels(shape.num_noise_spans, vocabulary.num_sentinels)
    sentinels = np.array([vocabulary.sentinel_id(k) for k in range(shape.num_noise_spans)], dtype)
    return SpanCorruption(shape, sentinels, vocabulary.eos_id, dtype, settings.random_roll)


def _check_sentinels(spans: int, sentinels: int) -> None:
    if spans > sentinels:
        raise BadArgument(
            f"a row would have {spans} noise spans, the tokenizer has {sentinels} sentinels: raise "
            "--mean-noise-span-length, lower --sequence-length or --noise-density, or train the tokenizer with "
            f"--extra-ids {spans}"
        )
