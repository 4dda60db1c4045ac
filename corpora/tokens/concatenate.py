"""Documents to rows by concatenation: each document between separators, cut where a row is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.encoding.flat import FlatIds
from corpora.tokens.packing_kernels import NO_ID, append, cut
from corpora.tokens.rows import Ids, Positions, Rows, Tail, tail

Kinds = Callable[[int, int], npt.NDArray[np.uint8]]


class Separators(NamedTuple):
    """Ids put before and after every document, or NO_ID."""

    bos_id: int
    eos_id: int

    @property
    def per_document(self) -> int:
        return (self.bos_id != NO_ID) + (self.eos_id != NO_ID)


class Stream:
    """Documents one after the other in a buffer that grows as needed.

    ids, documents: how many were added, without separators and tails; `carried` counts the ids of tails.
    starts, rests: ascending positions in `held` where a document begins, and where the rest of a cut document begins.
    """

    def __init__(self, dtype: npt.DTypeLike, separators: Separators) -> None:
        self.ids = self.documents = self.carried = 0
        self._marks = separators
        self._buffer: Ids = np.empty(1 << 16, dtype)
        self._begin = self._end = 0
        self._new_starts: list[Positions] = []  # in the buffer, like _starts
        self._starts = self._rests = np.empty(0, np.int64)

    @property
    def separators(self) -> int:
        return self.documents * self._marks.per_document

    @property
    def held(self) -> Ids:
        return self._buffer[self._begin : self._end]

    @property
    def starts(self) -> Positions:
        self._starts = np.concatenate([self._starts, *self._new_starts])
        self._new_starts = []
        return self._starts - self._begin

    @property
    def rests(self) -> Positions:
        return self._rests - self._begin

    def add(self, documents: FlatIds, chosen: npt.NDArray[np.bool_]) -> None:
        """Appends the chosen documents. A document without ids leaves only its separators."""
        count = int(np.count_nonzero(chosen))
        added = int(np.diff(documents.offsets)[chosen].sum())
        self._reserve(added + count * self._marks.per_document)
        starts = np.empty(count, np.int64)
        self._end, begun = append(*documents, chosen, *self._marks, self._buffer, self._end, starts)
        self._new_starts.append(starts[:begun])
        self.ids += added
        self.documents += count

    def add_tail(self, tail: Tail) -> None:
        """Appends what another stream left over; its separators are among its ids."""
        self.put(tail)
        self.carried += tail.num_ids

    def put(self, tail: Tail) -> None:
        """As `add_tail`, for ids that this stream has already counted."""
        self._reserve(tail.num_ids)
        self._new_starts.append(np.array(tail.document_starts, np.int64) + self._end)
        self._rests = np.concatenate([self._rests, np.array(tail.rests, np.int64) + self._end])
        self._buffer[self._end : self._end + tail.num_ids] = tail.array
        self._end += tail.num_ids

    def cut(self, widths: Positions, inside: tuple[int, int], *, finish: bool) -> tuple[Ids, Positions, Positions]:
        """(ids, offsets, starts) of the next rows: as many as there are ids for, at most one for each width."""
        offsets = np.empty(len(widths) + 1, np.int64)
        rows = cut(self._buffer, self._begin, self._end, widths, inside, finish, offsets)
        offsets = offsets[: rows + 1] - self._begin
        starts, size = self.starts, int(offsets[-1])
        taken = int(np.searchsorted(starts, size))
        ids = self.held[:size]
        self._starts, self._begin = self._starts[taken:], self._begin + size
        return ids, offsets, starts[:taken]

    def tail(self) -> Tail:
        """Everything still held."""
        return tail(self.held, self.starts, self.rests)

    def cut_off(self, place: int) -> Tail:
        """Removes the documents that begin at or after `place`; a document that continues across it stays whole."""
        starts, rests = self.starts, self.rests
        later = [begins[begins >= place] for begins in (starts, rests)]
        border = min([len(self.held), *(int(begins[0]) for begins in later if len(begins))])
        cut = tail(self.held[border:], later[0] - border, later[1] - border)
        self._starts, self._rests = self._starts[: len(starts) - len(later[0])], rests[rests < place] + self._begin
        self._end = self._begin + border
        return cut

    def clear(self) -> None:
        self._begin = self._end = 0
        self._new_starts = []
        self._starts = self._rests = np.empty(0, np.int64)

    def _reserve(self, more: int) -> None:
        """Makes room for more ids. Views of the buffer are invalid afterwards."""
        if self._end + more <= len(self._buffer):
            return
        held, starts, rests = self.held, self.starts, self.rests
        if len(held) + more > len(self._buffer):
            self._buffer = np.empty(2 * (len(held) + more), self._buffer.dtype)
        self._buffer[: len(held)] = held.copy()
        self._starts, self._rests, self._begin, self._end = starts, rests, 0, len(held)


class Concatenation:
    """Cuts one stream into groups of `group_rows` rows; only the last group may be shorter.

    kinds(first, count): the kinds of rows first, first + 1, ...; widths: ids of a row, by kind. inside: ids that
    never begin a row (bytes inside a character), as (first, end); (0, 0) for none. Holds less than one group plus one
    batch of documents.
    """

    def __init__(
        self, stream: Stream, kinds: Kinds, widths: Positions, group_rows: int, inside: tuple[int, int] = (0, 0)
    ) -> None:
        self._stream, self._kinds, self._widths, self._inside = stream, kinds, widths, inside
        self._group_rows = group_rows
        self._rows = 0
        self._next = self._next_kinds()

    def _next_kinds(self) -> npt.NDArray[np.uint8]:
        kinds = self._kinds(self._rows, self._group_rows)
        self._needed = int(self._widths[kinds].sum()) + 1
        return kinds

    def groups(self) -> Iterator[Rows]:
        """The complete groups in the stream so far. Each group overwrites the one before."""
        while len(self._stream.held) >= self._needed:
            yield self._cut(finish=False)

    def finish(self, *, last: bool) -> tuple[Iterator[Rows], Tail]:
        """The rows still held, and the ids that don't fill a row; the same for the last part as for any other.

        There are fewer rows than in a group, or a few more if rows fall short of their widths.
        """
        del last
        groups = []
        while (rows := self._cut(finish=True)).num_rows:
            groups.append(rows)
        return iter(groups), self._stream.tail()

    def _cut(self, *, finish: bool) -> Rows:
        ids, offsets, starts = self._stream.cut(self._widths[self._next], self._inside, finish=finish)
        rows = Rows(ids, offsets, starts, self._next[: len(offsets) - 1])
        self._rows += rows.num_rows
        self._next = self._next_kinds()
        return rows
