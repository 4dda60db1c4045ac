"""Progress as a bar on a terminal, and as plain lines elsewhere; `tamiz.console.progress` chooses."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from corpora.compiling import heard_by
from tamiz.log import log

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 10.0
LEAST_SECONDS, LEAST_SHARE = 3.0, 0.01  # of a rate that says something about the rest
COMPILING = "compiling kernels, once"
WIDTH, NARROW = 30, 8  # of the bar itself; narrow beside the text of a phase


class Bar(ABC):
    """Call it with (done, total), in any unit: only the ratio is shown."""

    def __init__(self, label: str) -> None:
        self.label = self.text = label
        self.share: float | None = None
        self.begun = time.monotonic()
        self._phases = 0
        self._first: tuple[float, float] | None = None  # (time, share) of the first update

    def __call__(self, done: int, total: int) -> None:
        log.flush()  # by the first update, the output folder exists
        self.share = min(done / max(total, 1), 1.0)
        if self._first is None:
            self._first = time.monotonic(), self.share
        self.show()

    def phase(self, text: str) -> None:
        """Says what is being done now. How much of it is done isn't known until the next update."""
        log.flush()
        self.text = text if text.startswith(self.label) else f"{self.label}: {text}"
        self.share = None
        self._phases += 1
        self.show()

    @abstractmethod
    def compiling(self, begins: bool) -> None:
        """Says that kernels are being compiled, or no longer are."""

    @abstractmethod
    def show(self) -> None:
        """Shows the text and the share as they are now."""

    def left(self) -> float | None:
        """Seconds that the rest takes at the rate so far. None if that says nothing: it is too early, or there are
        phases, each with a rate of its own."""
        if self._phases or self._first is None or self.share is None or self.share >= 1:
            return None
        seconds, share = time.monotonic() - self._first[0], self.share - self._first[1]
        if seconds < LEAST_SECONDS or share < LEAST_SHARE:
            return None
        return seconds * (1 - self.share) / share


class Lines(Bar):
    """Prints a line now and then, and one for each phase."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._last = self.begun
        self._compiled = False

    def show(self) -> None:
        now = time.monotonic()
        if self.share is None:
            print(f"  {self.text}", flush=True)
        elif now - self._last >= SECONDS_BETWEEN_LINES:
            left = self.left()
            rest = "" if left is None else f", about {clock(left)} left"
            print(f"  {self.label}: {self.share:4.0%} after {now - self.begun:.0f} s{rest}", flush=True)
        else:
            return
        self._last = now

    def compiling(self, begins: bool) -> None:
        if begins and not self._compiled:
            self._compiled = True
            print(f"  {self.label}: {COMPILING}", flush=True)


class Drawn(Bar):
    """A bar that rich draws."""

    def __init__(self, label: str, drawing: Progress) -> None:
        super().__init__(label)
        self._drawing = drawing
        self.task: TaskID = drawing.add_task(label, total=None, bar=self)

    def show(self) -> None:
        (task,) = self._drawing.tasks
        task.total = None if self.share is None else 1.0  # `update` takes None for "as it was"
        self._drawing.update(self.task, description=self.text, completed=self.share or 0.0)

    def compiling(self, begins: bool) -> None:
        self._drawing.update(self.task, description=f"{self.label}: {COMPILING}" if begins else self.text)

    def close(self) -> None:
        """Leaves a full bar, or none if there was nothing to do."""
        if self._first is None and not self._phases:
            self._drawing.live.transient = True
        else:
            self.text, self.share = self.label, 1.0
            self.show()


Heard = Callable[[str], None]
_heard: list[Heard] = []


class Silent(Bar):
    """Shows nothing: tells whoever listens which phase begins; an empty name is the work between phases."""

    def show(self) -> None:
        is_phase = self.share is None and self.text != self.label
        _heard[-1](self.text.removeprefix(f"{self.label}: ") if is_phase else "")

    def compiling(self, begins: bool) -> None:
        if begins:
            _heard[-1](COMPILING)
        else:
            self.show()


@contextmanager
def phases_heard_by(listener: Heard) -> Iterator[None]:
    """Within the block, progress isn't shown: the listener is told of each phase."""
    _heard.append(listener)
    try:
        yield
    finally:
        _heard.remove(listener)


def is_heard() -> bool:
    """Whether somebody listens to phases."""
    return bool(_heard)


@contextmanager
def silent(label: str) -> Iterator[Bar]:
    bar = Silent(label)
    with heard_by(bar.compiling):
        yield bar


@contextmanager
def lines(label: str) -> Iterator[Bar]:
    bar = Lines(label)
    with heard_by(bar.compiling):
        yield bar


@contextmanager
def drawn(label: str) -> Iterator[Bar]:
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class _Width(BarColumn):
        def render(self, task: Task) -> Any:
            self.bar_width = NARROW if len(task.description) > WIDTH else WIDTH
            return super().render(task)

    class _Share(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.total is None else f"{task.percentage:>3.0f}%")

    class _Times(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            bar: Bar = task.fields["bar"]
            left = None if task.finished else bar.left()
            return Text(clock(task.elapsed or 0) + ("" if left is None else f", about {clock(left)} left"))

    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    with Progress(text, _Width(), _Share(), _Times()) as drawing:
        bar = Drawn(label, drawing)
        with heard_by(bar.compiling):
            yield bar
        bar.close()


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03, 2:03, 0:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
