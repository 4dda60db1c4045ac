"""Output for people: lines, tables and progress, as a bar on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tamiz.bars import Bar, drawn, is_heard, lines, silent
from tamiz.log import log

if TYPE_CHECKING:
    from rich.console import RenderableType


PLAIN_WIDTH = 120  # columns where there is no terminal


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
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold", show_header=any(header))
    for n, name in enumerate(header):
        numeric = all(str(r[n])[:1].isdigit() or str(r[n])[:1] in "-." for r in rows)
        drawn.add_column(name, justify="right" if rows and numeric else "left")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    draw(drawn)


def draw(renderable: RenderableType) -> None:
    """Prints what rich lays out, in colour on a terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False).print(renderable)


def progress(label: str) -> AbstractContextManager[Bar]:
    """A bar. Call it with (done, total), in any unit; `phase(text)` says what is being done meanwhile."""
    if is_heard():
        return silent(label)
    return drawn(label) if sys.stdout.isatty() else lines(label)


def line_width() -> int:
    """Characters that a line of a stage, which is indented, has room for."""
    columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if sys.stdout.isatty() else PLAIN_WIDTH
    return columns - 2


def count(number: int | float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.4g}"


def size(num_bytes: float) -> str:
    """Bytes in readable form: 1.2 MB (decimal units)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if num_bytes < 1000 or unit == "TB":
            break
        num_bytes /= 1000
    return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
