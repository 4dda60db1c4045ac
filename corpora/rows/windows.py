"""The windows of an epoch in memory: the one in use, and the next one, read ahead."""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple, Self

from corpora.rows import order
from corpora.rows.one_thread import OneThread
from corpora.rows.order import Ints, Window
from corpora.rows.split_reader import Rows, SplitReader


class Loaded(NamedTuple):
    """One window's rows in stored order, and the order to read them in: row i of the window is at order[i].

    memory: holds the rows; the window after the next is read into it.
    """

    epoch: int
    window: Window
    memory: Rows
    rows: Rows
    order: Ints


class Windows:
    """The window of any position. A context manager; with `read_ahead` it owns a thread.

    At most two windows are in memory, each read into the memory of an earlier one. Serves one thread at a time.
    """

    def __init__(self, reader: SplitReader, seed: int, window_groups: int, *, read_ahead: bool) -> None:
        self._reader, self._seed, self._window_groups = reader, seed, window_groups
        self._plans: dict[int, list[Window]] = {}
        self._current: Loaded | None = None
        self._next: tuple[tuple[int, int], Future[Loaded]] | None = None
        self._thread = OneThread("tamiz-windows") if read_ahead else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread is not None:
            self._thread.close()
        self._current = self._next = None

    def at(self, epoch: int, position: int) -> Loaded:
        """The window that contains a position of an epoch. Raises DamagedFile if it can't be read."""
        window = order.window_at(self._plan(epoch), position)
        last, self._current = self._current, None
        if last is not None and (last.epoch, last.window.number) == (epoch, window.number):
            self._current = last
            return last
        self._current = self._take(epoch, window, last)
        self._begin_next(self._current, last)
        return self._current

    def _plan(self, epoch: int) -> list[Window]:
        """The epoch's windows. The plans of this epoch and the next are cached."""
        if epoch not in self._plans:
            self._plans = {known: plan for known, plan in self._plans.items() if known == epoch - 1}
            reader = self._reader
            self._plans[epoch] = order.windows(
                reader.group_files, reader.group_rows, self._seed, epoch, self._window_groups
            )
        return self._plans[epoch]

    def _take(self, epoch: int, window: Window, last: Loaded | None) -> Loaded:
        begun, self._next = self._next, None
        if begun is not None and begun[0] == (epoch, window.number):
            return begun[1].result()
        if begun is not None and not begun[1].cancel():
            begun[1].exception()  # wait for it, so that no third window is in memory
        return self._load(epoch, window, last, {} if last is None else last.memory)

    def _begin_next(self, current: Loaded, last: Loaded | None) -> None:
        if self._thread is None:
            return
        plan, number, epoch = self._plan(current.epoch), current.window.number + 1, current.epoch
        if number == len(plan):
            epoch, number = epoch + 1, 0
            plan = self._plan(epoch)
        spare = last.memory if last is not None and last.memory is not current.memory else {}
        self._next = (epoch, number), self._thread.pool.submit(self._load, epoch, plan[number], current, spare)

    def _load(self, epoch: int, window: Window, known: Loaded | None, memory: Rows) -> Loaded:
        """Reads a window into `memory`, unless the `known` one has the same groups, as happens with few groups."""
        shuffled = order.rows_of(window, self._seed, epoch)
        if known is not None and known.window.groups == window.groups:
            return Loaded(epoch, window, known.memory, known.rows, shuffled)
        return Loaded(epoch, window, memory, self._reader.read(window.groups, memory), shuffled)
