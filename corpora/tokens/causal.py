"""Rows for causal language modelling: document borders are stored beside them, short rows are padded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.unsignedinteger]
Positions = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """A list for each row, as Arrow stores it: row i is values[offsets[i] : offsets[i + 1]]."""

    offsets: npt.NDArray[np.int32]  # [n + 1]
    values: npt.NDArray[np.int32]


def document_starts(starts: Positions, offsets: Positions) -> Ragged:
    """Positions in each row where a document begins, from ascending positions in the rows' joined ids.

    A row's positions include 0 only if a document begins there, not where one continues from the row before.
    """
    borders = np.searchsorted(starts, offsets)
    row_begins = np.repeat(offsets[:-1], np.diff(borders))
    return Ragged(borders.astype(np.int32), (starts - row_begins).astype(np.int32))


def padded(ids: Ids, offsets: Positions, width: int, pad_id: int) -> Ids:
    """[n, width] from rows ids[offsets[i]:offsets[i + 1]] of at most `width` ids, padded on the right."""
    lengths = np.diff(offsets)
    rows = np.full((len(lengths), width), pad_id, ids.dtype)
    rows[np.arange(width) < lengths[:, None]] = ids
    return rows


def inputs_and_targets(rows: Ids) -> tuple[Ids, Ids]:
    """Stored rows [n, w] -> inputs and targets of the model, [n, w - 1] each (mesh-transformer-jax)."""
    return rows[:, :-1], rows[:, 1:]
