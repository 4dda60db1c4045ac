"""Rows with noise spans masked: what the objectives `span-corruption` and `ul2` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from corpora.errors import BadArgument
from corpora.randomness import keys
from corpora.tokens import span_corruption
from corpora.tokens.facts import ShardFacts
from corpora.tokens.objectives.masked_rows import masked_ids, spans_view
from corpora.tokens.readable import Reader
from corpora.tokens.row_maker import RowMaker, Vocabulary
from corpora.tokens.row_views import Row, View
from corpora.tokens.rows import Ids, Positions, Rows
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shapes import RowShape, check_short_row
from corpora.tokens.shards import Column, ColumnSpec

RANDOM_ROLL = "Allow noise anywhere in the row, not only at its end."


class Noise(NamedTuple):
    """One kind of noise. rolls: whether it may begin anywhere in the row. share: its share of the rows."""

    shape: RowShape
    rolls: bool = False
    share: float = 1.0


class CorruptionSettings(ShardSettings, frozen=True, kw_only=True):
    """The common base of objectives with `input_ids` and `labels` of span corruption. A subclass has `noises`."""

    random_roll: bool | None = None
    """Allow noise anywhere in the row, including the first and the last id. None: the objective decides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes = [noise.shape for noise in self.noises]
        if self.character_borders:
            for shape in shapes:
                check_short_row(shape)

    @property
    def noises(self) -> tuple[Noise, ...]:
        """The kinds of noise. Raises ValueError for noise that doesn't fit `sequence_length`."""
        raise NotImplementedError(f"{type(self).__name__} must define `noises`")

    @property
    def num_spans(self) -> int:
        return max(noise.shape.num_noise_spans for noise in self.noises)

    def too_many_spans(self, sentinels: int) -> str:
        """The error message for a tokenizer with fewer sentinels than `num_spans`."""
        return (
            f"a row would have {self.num_spans} noise spans at sequence_length {self.sequence_length}, but the "
            f"tokenizer has {sentinels} sentinels: raise --mean-noise-span-length, use a lower --sequence-length or "
            f"--noise-density, or train the tokenizer with --extra-ids {self.num_spans}"
        )

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises BadArgument if rows have more spans than there are sentinels, or eos is missing or also pad."""
        if vocabulary.eos_id is None:
            raise BadArgument(
                f"{self.objective} ends inputs and labels with EOS, but the tokenizer has no eos_token: "
                "set eos_token in its tokenizer_config.json"
            )
        if self.num_spans > vocabulary.num_sentinels:
            raise BadArgument(self.too_many_spans(vocabulary.num_sentinels))
        if vocabulary.pad_id == vocabulary.eos_id:
            raise BadArgument(
                f"pad and eos are both id {vocabulary.eos_id}, but labels need both: name another "
                "pad_token in the tokenizer's tokenizer_config.json"
            )

    def rows(self, vocabulary: Vocabulary) -> RowMaker:
        self.check_vocabulary(vocabulary)
        return MaskedRows(self, vocabulary, self.noises)

    def facts(self) -> dict[str, Any]:
        shapes = [noise.shape for noise in self.noises]
        return {
            "raw_length": shapes[0].raw_length,
            "label_length": max(shape.label_length for shape in shapes),
        }

    @classmethod
    def recount(cls, columns: Mapping[str, Column], facts: ShardFacts) -> int:
        return masked_ids(columns, facts)

    @classmethod
    def view(cls, row: Row, facts: ShardFacts, reader: Reader) -> View:
        return spans_view(row, facts, reader)

    @classmethod
    def summary(cls, split: str, facts: ShardFacts) -> list[tuple[str, str]]:
        del split, facts
        return []


class MaskedRows(RowMaker):
    """`input_ids` and `labels` of span corruption. Noise is keyed by the row."""

    def __init__(self, settings: ShardSettings, vocabulary: Vocabulary, noises: Sequence[Noise]) -> None:
        super().__init__(settings, vocabulary)
        assert vocabulary.eos_id is not None  # check_vocabulary
        shapes = tuple(noise.shape for noise in noises)
        sentinels = _run_of_sentinels(vocabulary)[: max(shape.num_noise_spans for shape in shapes)]
        self._denoising = span_corruption.Denoising(
            shapes,
            tuple(noise.rolls for noise in noises),
            np.array(sentinels, self.dtype),
            vocabulary.eos_id,
            vocabulary.pad_id,
        )
        self._label_ids = np.array([shape.num_noise_tokens + shape.num_noise_spans + 1 for shape in shapes])

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        return {"input_ids": (self.width, self.dtype), "labels": (self._denoising.label_length, self.dtype)}

    @property
    def widths(self) -> Positions:
        return np.array([shape.raw_length for shape in self._denoising.shapes], np.int64)

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        noise = keys(base, first, rows.num_rows)
        input_ids, labels = span_corruption.corrupt(rows.ids, rows.offsets, noise, rows.kinds, self._denoising)
        return {"input_ids": input_ids, "labels": labels}

    def targets(self, columns: Mapping[str, Column], rows: Rows) -> tuple[Ids, int]:
        labels = columns["labels"]
        assert isinstance(labels, np.ndarray)
        return labels, labels.size - int(self._label_ids[rows.kinds].sum())


def _run_of_sentinels(vocabulary: Vocabulary) -> list[int]:
    """Raises BadArgument unless the ids are consecutive: readers of shards know only the first and last sentinel."""
    ids = [vocabulary.sentinel_id(k) for k in range(vocabulary.num_sentinels)]
    step = 1 if ids[0] < ids[-1] else -1
    for number, token in enumerate(ids):
        if token != ids[0] + step * number:
            raise BadArgument(
                f"<extra_id_0> is id {ids[0]} and <extra_id_{number}> is id {token}: sentinel ids must be "
                "consecutive, ascending or descending; renumber them in the tokenizer"
            )
    return ids
