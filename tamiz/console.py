"""Output for people: lines, tables and progress, as a bar on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tamiz.log import log

SECONDS_BETWEEN_LINES = 10.0


def say(line: str = "") -> None:
    """Prints a line on standard output without buffering."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Prints a line on standard error and adds it to the log."""
    log.event("warning", message=line)
    print(f"warning: {line}", file=sys.stderr, flush=True)


def fail(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table that is as wide as it needs to be, with numbers aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold", show_header=any(header))
    for n, name in enumerate(header):
        numeric = all(str(r[n])[:1].isdigit() or str(r[n])[:1] in "-." for r in rows)
        drawn.add_column(name, justify="right" if rows and numeric else "left")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(drawn)


class Bar(Protocol):
    """The progress of one piece of work, on a terminal or in lines."""

    def __call__(self, done: int, total: int) -> None:
        """Shows a ratio, in any unit."""

    def phase(self, text: str) -> None:
        """Names what is being done now, of which nobody knows how long it takes, until the next ratio."""


@contextmanager
def progress(label: str) -> Iterator[Bar]:
    """Yields a bar; an update also writes the log: by the first one, the output folder exists."""
    if sys.stdout.isatty():
        with _drawn(label) as bar:
            yield bar
    else:
        yield _Lines(label)


@contextmanager
def _drawn(label: str) -> Iterator[Bar]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = ("[bold]{task.description}", BarColumn(), "{task.percentage:>3.0f}%")
    with Progress(*(TextColumn(c) if isinstance(c, str) else c for c in columns), TimeElapsedColumn(),
                  TimeRemainingColumn()) as bar:  # fmt: skip
        yield _Drawn(bar, label)


class _Drawn:
    def __init__(self, bar: Any, label: str) -> None:
        self._bar, self._label = bar, label
        self._task = bar.add_task(label, total=1.0)

    def __call__(self, done: int, total: int) -> None:
        log.flush()
        self._bar.update(self._task, description=self._label, total=1.0, completed=done / max(total, 1))

    def phase(self, text: str) -> None:
        log.flush()
        self._bar.update(self._task, description=f"{self._label}: {text}", total=None)


class _Lines:
    """Prints a line now and then, for output that isn't a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        log.flush()
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        say(f"  {self._label}: {done / max(total, 1):4.0%} after {now - self._begun:.0f} s")

    def phase(self, text: str) -> None:
        log.flush()
        self._last = time.monotonic()
        say(f"  {self._label}: {text}, after {self._last - self._begun:.0f} s")


def count(number: int | float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.4g}"


def size(num_bytes: float) -> str:
    """Bytes in readable form: 1.2 MB (decimal units)."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            break
        num_bytes /= 1000
    return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
