"""Which row of its file an item begins with: the lines before it are counted once the work begins, not when files
are listed.

A stage counts them on its workers, item by item (`count_lines`), and adds up (`numbered`). Where an item comes
without that, as in a pipeline of somebody else's, its reader counts what is before it (`located`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from corpora.documents.borders import border_of, until
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.streams import stored_pieces
from corpora.stopping import go_on


class Lines(msgspec.Struct, frozen=True):
    """What was counted in the bytes [start, end) of an item's file."""

    ends: int = 0
    """line ends; those up to the damage, if there is one"""
    before: int = 0
    """line ends up to the item's first line: in a compressed file, it may begin after a line of the item before"""
    damaged: bool = False


def count_lines(item: WorkItem) -> Lines:
    """Raises TamizError if reading fails."""
    ends, damaged = 0, False
    try:
        if item.end != item.size:  # otherwise nothing is behind
            for piece in stored_pieces(item):
                go_on()
                ends += _line_ends(piece)
    except Damage:
        damaged = True
    return Lines(ends, _before(item), damaged)


def _before(item: WorkItem) -> int:
    if not (item.start and item.compression):
        return 0
    to_the_end = msgspec.structs.replace(item, end=item.size or 0)
    try:
        return sum(map(_line_ends, until(stored_pieces(to_the_end), border_of(item.blank_lines))))
    except Damage:
        return 0  # no line begins before it


def _line_ends(piece: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(piece, np.uint8) == ord("\n")))


def numbered(items: Sequence[WorkItem], counts: Mapping[int, Lines]) -> list[WorkItem]:
    """The items, each with its first row. counts: by number, of the items of `uncounted`.

    As when a file is read as a whole, nothing is read behind damage: the items there are empty, and reading says so.
    """
    found: list[WorkItem] = []
    for _, parts in itertools.groupby(items, key=lambda item: item.path):
        found += _numbered(parts, counts)
    return found


def _numbered(parts: Iterable[WorkItem], counts: Mapping[int, Lines]) -> Iterator[WorkItem]:
    row, damaged = 0, False
    for part in parts:
        lines = counts.get(part.number, Lines())
        if part.first_row is None:
            first = row + lines.before
            part = msgspec.structs.replace(part, first_row=first, end=part.start if damaged else part.end)
        yield part
        row, damaged = row + lines.ends, damaged or lines.damaged


def uncounted(items: Iterable[WorkItem]) -> list[WorkItem]:
    """All items of the files that have items whose first row isn't known."""
    items = list(items)
    cut = {item.path for item in items if item.first_row is None}
    return [item for item in items if item.path in cut]


def located(item: WorkItem) -> WorkItem:
    """The item with its first row. What this process has counted of its file isn't counted again."""
    if item.first_row is not None:
        return item
    known = _known(item.path, item.size, item.mtime_ns, item.etag)
    before = known.before(item)
    end = item.start if before.damaged else item.end
    return msgspec.structs.replace(item, first_row=before.ends + _before(item), end=end)


class _Known:
    """Line ends before some positions of a file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # another thread needs the same counts
        self._counts = {0: Lines()}

    def before(self, item: WorkItem) -> Lines:
        with self._lock:
            if item.start not in self._counts:
                nearest = max(place for place in self._counts if place < item.start)
                here = self._counts[nearest]
                if not here.damaged:
                    more = count_lines(msgspec.structs.replace(item, start=nearest, end=item.start))
                    here = Lines(here.ends + more.ends, damaged=more.damaged)
                self._counts[item.start] = here
            return self._counts[item.start]


@lru_cache(maxsize=256)
def _known(path: str, size: int | None, mtime_ns: int | None, etag: str | None) -> _Known:  # noqa: ARG001 (the key)
    return _Known()
