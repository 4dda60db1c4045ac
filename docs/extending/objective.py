"""Stores some rows backwards, so that a model can learn to detect them."""

import numpy as np

from corpora.choices import Flag
from corpora.tokens.objectives import OBJECTIVES, RowMaker, ShardSettings
from corpora.tokens.shards import SCALAR


@OBJECTIVES.register
class Backwards(ShardSettings, frozen=True, kw_only=True, tag="backwards"):
    """Every Nth row is stored backwards."""

    flags = (Flag("--one-in", "one_in", "Reverse one row in N. [default: 2]", int),)
    one_in: int = 2

    def rows(self, vocabulary):
        return BackwardsRows(self, vocabulary)


class BackwardsRows(RowMaker):
    @property
    def columns(self):
        return {**super().columns, "turned": (SCALAR, np.uint8)}

    def store(self, rows, base, first):
        turned = np.arange(first, first + rows.num_rows) % self.settings.one_in == 0
        ids = super().store(rows, base, first)["input_ids"]
        return {"input_ids": np.where(turned[:, None], ids[:, ::-1], ids), "turned": turned.astype(np.uint8)}
