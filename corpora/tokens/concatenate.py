"""Documents to rows of fixed width by concatenation: each document, one separator, the next document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.unsignedinteger]
Positions = npt.NDArray[np.int64]


class Tail(msgspec.Struct, frozen=True):
    """What is left of a stream after its last whole row: fewer ids than one row."""

    ids: list[int] = []
    document_starts: list[int] = []  # positions in `ids`, ascending


class RowGroup(NamedTuple):
    """Whole rows in stream order."""

    rows: Ids  # [n, width]
    starts: Positions  # [m] positions in rows.reshape(-1) where a document begins, ascending


class RowPacker:
    """Cuts one stream of ids into groups of `group_rows` whole rows; only the last group may be shorter.

    Account at any time: ids + separators (+ ids of tails added) = ids in the groups yielded + ids held. Holds less
    than one group and one batch of documents.
    """

    def __init__(self, width: int, dtype: npt.DTypeLike, separator_id: int, *, group_rows: int = 1024) -> None:
        self.width = width
        self.dtype = np.dtype(dtype)
        self.ids = 0
        self.separators = 0
        self._separator = np.array([separator_id], self.dtype)
        self._group_ids = width * group_rows
        self._held: list[Ids] = []
        self._held_ids = 0
        self._starts: list[Positions] = []

    def add(self, documents: Sequence[npt.NDArray[np.integer]]) -> Iterator[RowGroup]:
        """Appends each document and a separator (an empty document is a separator alone)."""
        if documents:
            lengths = np.fromiter((len(d) + 1 for d in documents), np.int64, len(documents))
            starts = self._held_ids + np.cumsum(lengths) - lengths
            pieces = [piece for document in documents for piece in (document, self._separator)]
            self._hold(self._cast(np.concatenate(pieces)), starts)
            self.separators += len(documents)
            self.ids += int(lengths.sum()) - len(documents)
        yield from self._whole_groups()

    def add_tail(self, tail: Tail) -> Iterator[RowGroup]:
        """Appends the rest of another stream: its separators are among its ids."""
        starts = np.array(tail.document_starts, np.int64) + self._held_ids
        self._hold(np.array(tail.ids, self.dtype), starts)
        yield from self._whole_groups()

    def finish(self) -> tuple[RowGroup, Tail]:
        """The rows still held (fewer than a group, perhaps none), and what fills no row. The packer is then empty."""
        stream, starts = self._joined()
        whole = len(stream) // self.width * self.width
        rest = starts[starts >= whole] - whole
        group = RowGroup(stream[:whole].reshape(-1, self.width), starts[starts < whole])
        self._held, self._held_ids, self._starts = [], 0, []
        return group, Tail(ids=stream[whole:].tolist(), document_starts=rest.tolist())

    def _cast(self, ids: npt.NDArray[np.integer]) -> Ids:
        assert ids.dtype == self.dtype or ids.max() <= np.iinfo(self.dtype).max, "an id outside the vocabulary"
        return ids.astype(self.dtype, copy=False)

    def _hold(self, ids: Ids, starts: Positions) -> None:
        self._held.append(ids)
        self._starts.append(starts)
        self._held_ids += len(ids)

    def _joined(self) -> tuple[Ids, Positions]:
        empty = np.empty(0, self.dtype)
        return np.concatenate([empty, *self._held]), np.concatenate([np.empty(0, np.int64), *self._starts])

    def _whole_groups(self) -> Iterator[RowGroup]:
        if self._held_ids < self._group_ids:
            return
        stream, starts = self._joined()
        whole = len(stream) // self._group_ids * self._group_ids
        self._held, self._starts = [stream[whole:].copy()], [starts[starts >= whole] - whole]
        self._held_ids = len(stream) - whole
        for begin in range(0, whole, self._group_ids):
            end = begin + self._group_ids
            first, last = np.searchsorted(starts, [begin, end])
            yield RowGroup(stream[begin:end].reshape(-1, self.width), starts[first:last] - begin)
