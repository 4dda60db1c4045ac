"""Building blocks of cards: YAML front matter and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def front_matter(fields: Mapping[str, Any]) -> str:
    """Metadata for the Hub: JSON values are YAML. Empty fields are left out."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ("", "")) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_cell(value) for value in cells)} |"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
