"""The windows of an epoch in memory: the one in use, and the next, read meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self

from trainer import order
from trainer.order import Ints, Window
from trainer.split_reader import Rows, SplitReader

ReadWindows = Callable[[int], Sequence[Window]]


class Loaded(NamedTuple):
    """One window's rows, as stored, and the order to take them in: row i of the window is at order[i]."""

    epoch: int
    window: Window
    rows: Rows
    order: Ints


class Windows:
    """Gives the window of a position. A context manager where `read_ahead` is set: it holds a thread then.

    At most two windows are in memory. For one thread at a time.
    """

    def __init__(self, reader: SplitReader, seed: int, window_groups: int, *, read_ahead: bool) -> None:
        self._reader, self._seed, self._window_groups = reader, seed, window_groups
        self._plans: dict[int, list[Window]] = {}
        self._current: Loaded | None = None
        self._next: tuple[tuple[int, int], Future[Loaded]] | None = None
        self._pool = ThreadPoolExecutor(1, "tamiz-windows") if read_ahead else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._current = self._next = None

    def at(self, epoch: int, position: int) -> Loaded:
        """The window that holds a position of an epoch. Raises DamagedFile where it can't be read."""
        window = order.window_at(self._plan(epoch), position)
        if self._current is None or (self._current.epoch, self._current.window.number) != (epoch, window.number):
            self._current = self._take(epoch, window)
            self._begin_next(self._current)
        return self._current

    def _plan(self, epoch: int) -> list[Window]:
        """The epoch's windows. The plans of this epoch and the next are kept."""
        if epoch not in self._plans:
            self._plans = {known: plan for known, plan in self._plans.items() if known == epoch - 1}
            reader = self._reader
            self._plans[epoch] = order.windows(
                reader.group_files, reader.group_rows, self._seed, epoch, self._window_groups
            )
        return self._plans[epoch]

    def _take(self, epoch: int, window: Window) -> Loaded:
        begun, self._next = self._next, None
        if begun is not None and begun[0] == (epoch, window.number):
            return begun[1].result()
        if begun is not None and not begun[1].cancel():
            begun[1].exception()  # it ends first: a third window must not be in memory
        known = self._known(window)
        self._current = None
        return self._load(epoch, window, known)

    def _begin_next(self, current: Loaded) -> None:
        if self._pool is None:
            return
        plan, number, epoch = self._plan(current.epoch), current.window.number + 1, current.epoch
        if number == len(plan):
            epoch, number = epoch + 1, 0
            plan = self._plan(epoch)
        known = self._known(plan[number])
        self._next = (epoch, number), self._pool.submit(self._load, epoch, plan[number], known)

    def _known(self, window: Window) -> Rows | None:
        """The rows of a window with the groups of the current one, as each epoch of few groups has."""
        current = self._current
        return current.rows if current is not None and current.window.groups == window.groups else None

    def _load(self, epoch: int, window: Window, known: Rows | None) -> Loaded:
        rows = self._reader.read(window.groups) if known is None else known
        return Loaded(epoch, window, rows, order.rows_of(window, self._seed, epoch))
