"""The objective `causal`: rows of plain ids, with the positions where documents begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from corpora.tokens.causal import document_starts
from corpora.tokens.row_maker import RowMaker, Vocabulary
from corpora.tokens.rows import Rows
from corpora.tokens.settings import ShardSettings
from corpora.tokens.shards import Column, ColumnSpec


class Causal(ShardSettings, frozen=True, kw_only=True, tag="causal"):
    """Each id is predicted from those before it."""

    packings: ClassVar[tuple[str, ...]] = ("concatenate", "best-fit")

    def rows(self, vocabulary: Vocabulary) -> RowMaker:
        return CausalRows(self, vocabulary)


class CausalRows(RowMaker):
    """Plain `input_ids`, `document_starts`, and `num_tokens` if rows may be short."""

    @property
    def columns(self) -> dict[str, ColumnSpec]:
        ids, *others = super().columns.items()
        return dict([ids, ("document_starts", (None, np.int32)), *others])

    def store(self, rows: Rows, base: int, first: int) -> Mapping[str, Column]:
        starts = document_starts(rows.starts, rows.offsets)
        return {**super().store(rows, base, first), "document_starts": starts}
