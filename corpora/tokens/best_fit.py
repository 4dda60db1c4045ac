"""Best-fit packing (arXiv:2404.10830): only documents longer than a row are cut; rows may be left short.

Parts (documents, or slices of long ones) are packed longest first, each into the row with the least room that is
enough. This is done in windows of many rows. Rows that are far from full at the end of a window are taken apart;
their parts wait for the next window, or for the last part of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.randomness import keys
from corpora.texts import offsets_of
from corpora.tokens.concatenate import Stream
from corpora.tokens.packing_kernels import best_fit, gather
from corpora.tokens.rows import Ids, Positions, Rows, Tail, tail

WINDOW_IDS = 1 << 23
NEARLY_FULL = 0.97  # share of a row; emptier rows wait
MOST_WAITING = 4  # rows' worth of ids


class BestFit:
    """Packs the ids of a stream into rows of at most `width` ids, in groups of `group_rows` rows.

    Since packing takes the longest parts first, each window's rows are shuffled, keyed by `base`.
    """

    def __init__(self, stream: Stream, width: int, group_rows: int, base: int) -> None:
        self._stream, self._width, self._group_rows, self._base = stream, width, group_rows, base
        self._window_ids = max(WINDOW_IDS, 64 * width)
        self._windows = 0

    def groups(self) -> Iterator[Rows]:
        """Packs a window once the stream fills one, up to the document that fills it, whatever the batches."""
        while len(self._stream.held) >= self._window_ids:
            later = self._stream.cut_off(self._window_ids)
            rows, left = self._pack()
            self._stream.clear()
            self._stream.put(left)
            self._stream.put(later)
            yield from self._grouped(rows)

    def finish(self, *, last: bool) -> tuple[Iterator[Rows], Tail]:
        """The rows of everything still held. last: leave nothing over, however short a row is."""
        rows, left = self._pack(last=last)
        return self._grouped(rows), left

    def _pack(self, *, last: bool = False) -> tuple[Rows, Tail]:
        parts = _parts(self._stream, self._width)
        row_of = np.empty(len(parts.lengths), np.int64)
        count = best_fit(parts.lengths, np.argsort(-parts.lengths, kind="stable"), self._width, row_of)
        filled = np.bincount(row_of, parts.lengths, minlength=count).astype(np.int64)
        waiting = np.zeros(count, np.bool_) if last else _waiting(filled, self._width)
        place = self._places(count)[row_of]
        order = np.argsort(place, kind="stable")  # rows in order, the parts of a row in order of arrival
        order = order[~waiting[row_of[order]]]
        rows = _rows(self._stream.held, parts, order, place)
        return rows, _tail(self._stream.held, parts, np.flatnonzero(waiting[row_of]))

    def _places(self, count: int) -> Positions:
        """The position of each row: a keyed permutation."""
        place = np.empty(count, np.int64)
        place[np.argsort(keys(self._base + self._windows, 0, count), kind="stable")] = np.arange(count)
        self._windows += 1
        return place

    def _grouped(self, rows: Rows) -> Iterator[Rows]:
        for first in range(0, rows.num_rows, self._group_rows):
            last = min(first + self._group_rows, rows.num_rows)
            begin, end = int(rows.offsets[first]), int(rows.offsets[last])
            starts = rows.starts[slice(*np.searchsorted(rows.starts, [begin, end]))] - begin
            yield Rows(rows.ids[begin:end], rows.offsets[first : last + 1] - begin, starts, rows.kinds[first:last])


class _Parts(NamedTuple):
    """Part p is held[begins[p]:begins[p] + lengths[p]]; whole[p] if a document begins there."""

    begins: Positions
    lengths: Positions
    whole: npt.NDArray[np.bool_]


def _parts(stream: Stream, width: int) -> _Parts:
    """Documents and rests of documents. Those longer than `width` are cut into slices from the beginning on."""
    borders = np.sort(np.concatenate([stream.starts, stream.rests]))
    sizes = np.diff(np.append(borders, len(stream.held)))
    slices = -(-sizes // width)  # 0 slices for an empty document without separators
    number = np.arange(int(slices.sum())) - np.repeat(np.cumsum(slices) - slices, slices)
    begins = np.repeat(borders, slices) + number * width
    lengths = np.minimum(np.repeat(borders + sizes, slices) - begins, width)
    return _Parts(begins, lengths, np.isin(begins, stream.starts) & (number == 0))


def _waiting(filled: Positions, width: int) -> npt.NDArray[np.bool_]:
    """The emptiest rows, while they are far from full and together hold less than MOST_WAITING rows' worth."""
    order = np.argsort(filled, kind="stable")
    chosen = (filled[order] < NEARLY_FULL * width) & (np.cumsum(filled[order]) < MOST_WAITING * width)
    waiting = np.zeros(len(filled), np.bool_)
    waiting[order[chosen]] = True
    return waiting


def _gathered(held: Ids, parts: _Parts, order: Positions) -> tuple[Ids, Positions]:
    """The parts joined, and where each begins, int64[parts + 1]."""
    ids = np.empty(int(parts.lengths[order].sum()), held.dtype)
    gather(held, parts.begins, parts.lengths, order, ids)
    return ids, offsets_of(parts.lengths[order].tolist(), len(order))


def _rows(held: Ids, parts: _Parts, order: Positions, place: Positions) -> Rows:
    ids, ends = _gathered(held, parts, order)
    firsts = np.flatnonzero(np.diff(place[order], prepend=-1))  # the first part of each row
    marked = np.ones(len(order), np.bool_)
    marked[firsts] = parts.whole[order][firsts]  # a row begins with a document, or with the rest of one
    return Rows(ids, np.append(ends[firsts], len(ids)), ends[:-1][marked], np.zeros(len(firsts), np.uint8))


def _tail(held: Ids, parts: _Parts, chosen: Positions) -> Tail:
    ids, ends = _gathered(held, parts, chosen)
    whole = parts.whole[chosen]
    return tail(ids, ends[:-1][whole], ends[:-1][~whole])
