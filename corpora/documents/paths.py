"""Values inside the objects of a row, by name or by path, such as `metadata.url`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MISSING = object()


def find(row: Mapping[str, Any], name: str) -> Any:
    """The value of `name` in a JSON object, or else at that path inside it; MISSING if there is none."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = value.get(part, MISSING) if isinstance(value, Mapping) else MISSING
    return value
