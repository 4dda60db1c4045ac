"""Packed ids to stored columns: the default of all objectives, which keeps ids as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from corpora.encoding.flat import id_dtype
from corpora.tokens import causal
from corpora.tokens.rows import Ids, Positions, Rows
from corpora.tokens.shards import SCALAR, Column, ColumnSpec


class Vocabulary(Protocol):
    """What an objective needs to know about an encoder."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def bos_id(self) -> int | None: ...
    @property
    def eos_id(self) -> int | None: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def num_sentinels(self) -> int: ...
    def sentinel_id(self, k: int, /) -> int:
        """The id that marks the k-th noise span, from 0."""


class RowSettings(Protocol):
    """What a row maker needs to know about an objective's settings."""

    @property
    def sequence_length(self) -> int: ...
    @property
    def packing(self) -> str: ...
    @property
    def character_borders(self) -> bool: ...


class RowMaker:
    """Turns the rows of one part of one split into columns: `input_ids`, and `num_tokens` if rows may be short.

    Objectives subclass it. `base` identifies the part; random choices are keyed by it and the row's number.
    """

    def __init__(self, settings: RowSettings, vocabulary: Vocabulary) -> None:
        self.settings = settings
        self.width, self.pad_id = settings.sequence_length, vocabulary.pad_id
        self.dtype = id_dtype(vocabulary.vocab_size)
        self.short = settings.packing == "best-fit" or settings.character_borders

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        """What `store` returns."""
        ids: dict[str, ColumnSpec] = {"input_ids": (self.width, self.dtype)}
        return {**ids, "num_tokens": (SCALAR, np.int32)} if self.short else ids

    @property
    def widths(self) -> Positions:
        """The number of stream ids that a row takes, int64[kinds]."""
        return np.array([self.width], np.int64)

    def kinds(self, base: int, first: int, count: int) -> npt.NDArray[np.uint8]:
        """The kinds of rows first, first + 1, ... of the part, uint8[count]."""
        del base, first
        return np.zeros(count, np.uint8)

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        """The columns of rows first, first + 1, ... of the part."""
        del base, first
        if not self.short:
            return {"input_ids": rows.ids.reshape(-1, self.width)}
        padded = causal.padded(rows.ids, rows.offsets, self.width, self.pad_id)
        return {"input_ids": padded, "num_tokens": np.diff(rows.offsets).astype(np.int32)}

    def targets(self, columns: Mapping[str, Column], rows: Rows) -> tuple[Ids, int]:
        """The ids that a model must predict [n, width], including padding, and how many of them are padding."""
        ids = columns["input_ids"]
        assert isinstance(ids, np.ndarray)
        targets = causal.inputs_and_targets(ids)[1]
        return targets, targets.size - (rows.num_ids - rows.num_rows)
