"""Building blocks of cards: tables and texts of others; and how a card joins a finished folder."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from corpora import files, manifest
from corpora.home import Home, Place
from corpora.manifest import Manifest

NAME = "README.md"
MOST_SOURCES = 20
LINE = 80  # characters of a quoted line


def add_card(
    folder: Place,
    content: Manifest,
    text: Callable[[], str],
    plots: Mapping[str, Callable[[Path], object]] | None = None,
) -> None:
    """Writes the card of a finished folder with its plots, and lists them in its manifest, as derived from it. A card
    that is there stays: it may have been edited.

    plots: a file's name -> what draws it.
    """
    home = Home.of(folder)
    if NAME in {r.path for r in content.derived} and home.exists(NAME):
        return
    with home.filled() as made:
        for name, draw in (plots or {}).items():
            draw(made / name)
        files.write_bytes(made / NAME, text().encode())
        records = [manifest.record(made, made / name) for name in (NAME, *(plots or {}))]
    manifest.add_derived(home, records)


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ("", "")) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text that somebody else wrote, as a block that Markdown leaves as it is: no links, no HTML, no headings."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = textwrap.wrap(text, LINE) or [""]
    return "\n".join([f"{fence}text", *lines, fence]) + "\n"


def section(title: str, *parts: str) -> str:
    """A heading and what belongs to it; nothing if that is empty."""
    text = "\n".join(part.strip("\n") + "\n" for part in parts if part.strip())
    return f"## {title}\n\n{text}" if text else ""


def sources_text(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_SOURCES:,} more" if len(names) > MOST_SOURCES else ""
    return "; ".join(names[:MOST_SOURCES]) + more


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_cell(value) for value in cells)} |"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
