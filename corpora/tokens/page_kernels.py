"""Kernels that put the k-th bytes of all numbers side by side, as Parquet's BYTE_STREAM_SPLIT does.

Twin: tests/reference/arrow_shards.py::write
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import kernel


@kernel
def split_16(values: NDArray[np.uint16], out: NDArray[np.uint8]) -> None:
    """out: the lower bytes of the n values, then the upper ones."""
    n = np.uint64(values.shape[0])  # only unsigned indices and constant shifts compile to vector instructions
    for place in range(n):
        out[place] = np.uint8(values[place] & 255)
        out[n + place] = np.uint8(values[place] >> 8)


@kernel
def split_32(values: NDArray[np.uint32], out: NDArray[np.uint8]) -> None:
    """out: the lowest bytes of the n values, then the second, the third and the highest ones."""
    n = np.uint64(values.shape[0])
    for place in range(n):
        out[place] = np.uint8(values[place] & 255)
        out[n + place] = np.uint8((values[place] >> 8) & 255)
        out[n + n + place] = np.uint8((values[place] >> 16) & 255)
        out[n + n + n + place] = np.uint8(values[place] >> 24)
