"""Building blocks of cards: YAML front matter and tables; and how a card joins a finished folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpora import files, manifest
from corpora.manifest import Manifest

NAME = "README.md"
MOST_SOURCES = 20


def add_card(folder: Path, content: Manifest, text: Callable[[], str]) -> None:
    """Writes the card of a finished folder and lists it in its manifest, as derived from it. A card that is there
    stays: it may have been edited."""
    if NAME in {r.path for r in content.derived} and (folder / NAME).is_file():
        return
    files.write_bytes(folder / NAME, text().encode())
    manifest.add_derived(folder, [folder / NAME])


def front_matter(fields: Mapping[str, Any]) -> str:
    """Metadata for the Hub: JSON values are YAML. Empty fields are left out."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ("", "")) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def sources_text(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_SOURCES:,} more" if len(names) > MOST_SOURCES else ""
    return "; ".join(names[:MOST_SOURCES]) + more


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_cell(value) for value in cells)} |"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
