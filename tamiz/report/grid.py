"""Counts documents by perplexity and length, in bounded memory for any number of documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A bin is the exponent and the first bits of the mantissa of a float64, so it is the same on every processor.
PERPLEXITY_SHIFT = 49  # 8 bins per doubling
LENGTH_SHIFT = 50  # 4
_LENGTH_BITS = 64 - LENGTH_SHIFT


@dataclass(frozen=True)
class Grid:
    """Counts of documents in cells. Grids can be added in any order.

    cells int64[n], ascending: perplexity bin and length bin in one number; counts int64[n]; halved: how many times
    neighbouring perplexity bins were merged in pairs.
    """

    cells: Integers
    counts: Integers
    halved: int = 0

    @staticmethod
    def of(perplexities: Floats, lengths: Floats) -> Grid:
        """Counts n documents. Both arguments are float64[n], positive and finite."""
        cells = (_bins(perplexities, PERPLEXITY_SHIFT) << _LENGTH_BITS) | _bins(lengths, LENGTH_SHIFT)
        return _joined(cells, np.ones(len(cells), np.int64))

    def __add__(self, other: Grid) -> Grid:
        """Both must have been halved the same number of times."""
        return _joined(
            np.concatenate([self.cells, other.cells]), np.concatenate([self.counts, other.counts]), self.halved
        )

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def coarser(self) -> Grid:
        """The same documents in cells that are twice as high."""
        perplexity, length = _split(self.cells)
        return _joined(((perplexity >> 1) << _LENGTH_BITS) | length, self.counts, self.halved + 1)

    def dense(self, frame: Grid) -> tuple[Floats, Floats, Integers]:
        """Edges of perplexity float64[p + 1] and of length float64[l + 1], counts int64[p, l], as wide as `frame`."""
        rows, columns = (np.arange(bins.min(), bins.max() + 2) for bins in _split(frame.cells))
        perplexity, length = _split(self.cells)
        counts = np.zeros((len(rows) - 1, len(columns) - 1), np.int64)
        counts[perplexity - rows[0], length - columns[0]] = self.counts
        return _edges(rows, PERPLEXITY_SHIFT + self.halved), _edges(columns, LENGTH_SHIFT), counts


def _bins(values: Floats, shift: int) -> Integers:
    return (np.ascontiguousarray(values).view(np.uint64) >> np.uint64(shift)).astype(np.int64)


def _edges(bins: Integers, shift: int) -> Floats:
    return (bins.astype(np.uint64) << np.uint64(shift)).view(np.float64)


def _split(cells: Integers) -> tuple[Integers, Integers]:
    return cells >> _LENGTH_BITS, cells & ((1 << _LENGTH_BITS) - 1)


def _joined(cells: Integers, counts: Integers, halved: int = 0) -> Grid:
    found, place = np.unique(cells, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, place, counts)
    return Grid(found, sums, halved)
