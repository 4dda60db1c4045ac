"""A row's text from a template and from turns, line by line, without parsing the template first."""

from __future__ import annotations

import json
from typing import Any

ROLES, CONTENTS = ["role", "from"], ["content", "value"]
OPEN, CLOSE = "\ue000", "\ue001"  # stand for doubled braces


def row_text(row: dict[str, Any], template: str | None, turns: str | None = None, turn: str | None = None) -> str:
    """Empty if the row has no text. Raises ValueError for a value that isn't a text."""
    said = "" if turns is None else "".join(turn_text(one, turn) for one in value_at(row, turns) or [] if one)
    if template is None:
        return said
    given = {name: said if name == turns else spelled(value_at(row, name)) for name in names_in(template)}
    return filled(template, given) if any(given.values()) else ""


def turn_text(turn: Any, template: str | None) -> str:
    if not isinstance(turn, dict):
        raise ValueError("a turn is no object")
    template = template or "{role}: {content}\n"
    given = {}
    for name in names_in(template):
        keys = ROLES if name == "role" else CONTENTS if name == "content" else [name]
        values = [value_at(turn, key) for key in keys if value_at(turn, key) is not None]
        given[name] = spelled(values[0] if values else None)
    said = [value for name, value in given.items() if name not in ROLES]
    return filled(template, given) if any(said) else ""


def filled(template: str, given: dict[str, str]) -> str:
    lines = []
    for line in hidden(template).split("\n"):
        names = names_in(line)
        if names and not any(given[name] for name in names):
            continue
        rest, text = line, ""
        while "{" in rest:
            before, _, rest = rest.partition("{")
            name, _, rest = rest.partition("}")
            text += shown(before) + given[name]
        lines.append(text + shown(rest))
    return "\n".join(lines)


def names_in(template: str) -> list[str]:
    return [part.partition("}")[0] for part in hidden(template).split("{")[1:]]


def hidden(template: str) -> str:
    """Doubled braces replaced; the first closing brace after a field's opening one is the field's."""
    text, inside = "", False
    while template:
        if not inside and template[:2] in ("{{", "}}"):
            text, template = text + (OPEN if template[0] == "{" else CLOSE), template[2:]
            continue
        inside = template[0] == "{" or (inside and template[0] != "}")
        text, template = text + template[0], template[1:]
    return text


def shown(text: str) -> str:
    return text.replace(OPEN, "{").replace(CLOSE, "}")


def value_at(row: Any, name: str) -> Any:
    if name in row:
        return row[name]
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def spelled(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise ValueError("a list or an object is no text")
    return value if isinstance(value, str) else json.dumps(value)
