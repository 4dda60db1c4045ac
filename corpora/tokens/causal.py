"""Causal language modelling rows: a stream of documents cut at a fixed width, document borders kept beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.unsignedinteger]


class Ragged(NamedTuple):
    """A list for each row, as Arrow stores it: row i is values[offsets[i] : offsets[i + 1]]."""

    offsets: npt.NDArray[np.int32]  # [n + 1]
    values: npt.NDArray[np.int32]


def document_starts(starts: npt.NDArray[np.int64], num_rows: int, width: int) -> Ragged:
    """Positions in each row where a document begins, from ascending positions in the rows' joined stream.

    0 is among a row's only if a document begins there, not where one goes on from the row before.
    """
    borders = np.arange(num_rows + 1, dtype=np.int64) * width
    offsets = np.searchsorted(starts, borders)
    return Ragged(offsets.astype(np.int32), (starts % width).astype(np.int32))


def inputs_and_targets(rows: Ids) -> tuple[Ids, Ids]:
    """Stored rows [n, w] -> what the model reads and what it predicts, [n, w - 1] each (mesh-transformer-jax)."""
    return rows[:, :-1], rows[:, 1:]
