"""Ids of many documents in one buffer: what encoders return on the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from corpora.texts import offsets_of


class FlatIds(NamedTuple):
    """Text k's ids are ids[offsets[k]:offsets[k + 1]]: id_dtype(vocab_size)[ids], int64[texts + 1] from 0 on."""

    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]


def id_dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """uint16 up to 65,535 ids, uint32 from 65,536 up."""
    return np.dtype(np.uint16) if vocab_size < 1 << 16 else np.dtype(np.uint32)


def flat_ids(parts: Sequence[NDArray[np.integer]], dtype: DTypeLike) -> FlatIds:
    """Joins arrays of ids, one for each text."""
    joined = np.concatenate([np.empty(0, dtype), *(part.astype(dtype, copy=False) for part in parts)])
    return FlatIds(joined, offsets_of(map(len, parts), len(parts)))
