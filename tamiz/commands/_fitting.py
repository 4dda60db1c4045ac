"""Tables that are too wide for the terminal, as several: numbers are never cut."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from tamiz.console import PLAIN_WIDTH, table

_BORDER, _PER_COLUMN = 1, 3


def fitting_tables(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 2, width: int | None = None
) -> None:
    """Prints the first `names` columns beside as many of the others as fit, then beside the rest.

    width: of the terminal; None: its own. Names that leave no room for numbers are shortened.
    """
    width = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH)
    widths = [max(len(text) for text in column) for column in zip(header, *rows, strict=True)]
    most = (width - _BORDER - max(widths[names:], default=0)) // names - _PER_COLUMN
    shown = [[_shortened(text, most) for text in row[:names]] + list(row[names:]) for row in rows]
    used = sum(min(size, max(most, 1)) + _PER_COLUMN for size in widths[:names]) + _BORDER
    for number, columns in enumerate(_groups(widths, names, width - used)):
        kept = [*range(names), *columns]
        table(
            title if number == 0 else f"{title}, continued",
            [header[k] for k in kept],
            [[row[k] for k in kept] for row in shown],
        )


def _groups(widths: Sequence[int], names: int, room: int) -> list[list[int]]:
    """The other columns, in order, in groups that fit; at least one in each."""
    groups: list[list[int]] = []
    left = 0
    for column in range(names, len(widths)):
        size = widths[column] + _PER_COLUMN
        if not groups or size > left:
            groups.append([])
            left = room
        groups[-1].append(column)
        left -= size
    return groups


def _shortened(text: str, most: int) -> str:
    """The end of a name tells more than its beginning."""
    return text if len(text) <= max(most, 1) else f"…{text[len(text) - max(most, 1) + 1 :]}"
