"""Rows of several fields, or of turns, as one text: instructions and chats. Imports no heavy library.

A template is text with fields in braces: `{instruction}`, or a path, as `{data.answer}`; `{{` and `}}` are braces.
Braces in a value are text. A value that is missing or null is empty; numbers and booleans are spelled as in JSON. A
number that isn't finite, which JSON can't spell, is no text: its row is rejected.
A line of the template that has fields, all of them empty, is left out with its line break; all other characters stay.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from corpora.documents.paths import MISSING, find

TURN = "{role}: {content}\n"
"""The template of a turn, unless the source names another."""

ALIASES = {"role": ("role", "from"), "content": ("content", "value")}
"""What these two fields of a turn are called in published chats (OpenAI's, ShareGPT's); the first that isn't null."""

NO_TEXT = "no text"
_SPEAKERS = frozenset(("role", "from"))  # a turn in which only these are given says nothing
_PART = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]|[^{}]+")


class NotText(Exception):
    """A row has no text, or a value that isn't one. The message is the reason why the row is rejected."""


@dataclass(frozen=True)
class Template:
    """A parsed template. fields: their names, each once. lines: of each line, its parts: text, or a field's place."""

    fields: tuple[str, ...]
    lines: tuple[tuple[str | int, ...], ...]

    @classmethod
    def parse(cls, name: str, text: str) -> Template:
        """name: of the setting, for messages. Raises ValueError for braces that don't match and without a field."""
        fields: dict[str, int] = {}
        lines: list[list[str | int]] = [[]]
        for found in _PART.finditer(text):
            part, field = found[0], found[1]
            if part in ("{", "}") or field == "":
                raise ValueError(
                    f"{name} is {text!r}; {part!r} at character {found.start()} is no field: write {{NAME}}, or "
                    "{{ and }} for braces"
                )
            if field is not None:
                lines[-1].append(fields.setdefault(field, len(fields)))
                continue
            first, *others = (part[0] if part in ("{{", "}}") else part).split("\n")
            lines[-1].append(first)
            lines += [[other] for other in others]
        if not fields:
            raise ValueError(f"{name} is {text!r}; it names no field: write one in braces, as {{instruction}}")
        return cls(tuple(fields), tuple(tuple(part for part in line if part != "") for line in lines))

    def render(self, values: Sequence[str]) -> str:
        """values: one for each of `fields`."""
        return "\n".join(self._filled(values))

    def _filled(self, values: Sequence[str]) -> Iterator[str]:
        for line in self.lines:
            parts = [values[part] if isinstance(part, int) else part for part in line]
            places = [part for part in line if isinstance(part, int)]
            if not places or any(values[place] for place in places):
                yield "".join(parts)


@dataclass(frozen=True)
class RowText:
    """How a row becomes a text. template: of the row; None: the turns alone. turns: where their list is."""

    template: Template | None
    turns: str | None
    turn: Template | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The row's fields that are values, in the order of the template."""
        return tuple(name for name in (self.template.fields if self.template else ()) if name != self.turns)

    @property
    def columns(self) -> tuple[str, ...]:
        """All fields of the row that the text is made of."""
        return (*self.fields, *([self.turns] if self.turns else []))

    def of_object(self, row: Mapping[str, Any]) -> str:
        """The text of a JSON object. Raises NotText."""
        values = {name: as_text(name, _given(find(row, name))) for name in self.fields}
        return self.of(values, _given(find(row, self.turns)) if self.turns else None)

    def of(self, values: Mapping[str, str], turns: object = None) -> str:
        """values: one for each of `fields`. turns: a list of objects, or None. Raises NotText."""
        said = self._said(turns) if self.turns else ""
        if not said and not any(values.values()):
            raise NotText(f"{NO_TEXT}: {self._why(turns)}")
        if self.template is None:
            return said
        named = [said if name == self.turns else values[name] for name in self.template.fields]
        return self.template.render(named)

    def _said(self, turns: object) -> str:
        """The text of all turns."""
        if turns is None:
            return ""
        if not isinstance(turns, list):
            raise NotText(f"{self.turns} not a list of turns: {type_name(turns)}")
        return "".join(self._one(f"{self.turns}.{n}", turn) for n, turn in enumerate(turns) if turn is not None)

    def _one(self, place: str, turn: object) -> str:
        """The text of a turn; nothing if only its speaker is given."""
        if not isinstance(turn, Mapping):
            raise NotText(f"{place} not an object: {type_name(turn)}")
        assert self.turn is not None
        values = [as_text(f"{place}.{name}", of_turn(turn, name)) for name in self.turn.fields]
        said = any(value for name, value in zip(self.turn.fields, values, strict=True) if name not in _SPEAKERS)
        return self.turn.render(values) if said else ""

    def _why(self, turns: object) -> str:
        first = next((turn for turn in turns if turn), None) if isinstance(turns, list) else None
        if isinstance(first, Mapping) and self.turn is not None:
            wanted = " or ".join(self.turn.fields)
            return f"{self.turns} has no turn with {wanted}; the keys of a turn are {_listed(first)}"
        return f"{' and '.join(self.columns)} {'is' if len(self.columns) == 1 else 'are'} empty"


@lru_cache(maxsize=64)
def row_text(template: str | None, turns: str | None, turn: str | None) -> RowText | None:
    """The settings of a source, parsed; None if its rows have their text in a column. Raises ValueError."""
    if template is None and turns is None:
        if turn is not None:
            raise ValueError(f"turn is {turn!r}, but turns is not given: name the field that holds the list of turns")
        return None
    if turns == "":
        raise ValueError("turns is empty: name the field that holds the list of turns, or leave it out")
    row = None if template is None else Template.parse("template", template)
    if turns is None:
        if turn is not None:
            raise ValueError(f"turn is {turn!r}, but turns is not given: name the field that holds the list of turns")
        return RowText(row, None, None)
    if row is not None and turns not in row.fields:
        raise ValueError(f"template is {template!r}; it must say where the turns go: add {{{turns}}}")
    one = Template.parse("turn", TURN if turn is None else turn)
    if _SPEAKERS.issuperset(one.fields):
        raise ValueError(f"turn is {turn!r}; it names no content: add {{content}}, or the key that holds it")
    return RowText(row, turns, one)


def of_turn(turn: Mapping[str, Any], name: str) -> Any:
    """The value of a turn's field, under the first of its names that has one; else None."""
    found = (find(turn, alias) for alias in ALIASES.get(name, (name,)))
    return next((value for value in found if value is not MISSING and value is not None), None)


def as_text(name: str, value: object) -> str:
    """A value as the template takes it. Raises NotText for arrays, objects and NaN."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise NotText(f"{name} not a text: not a finite number")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise NotText(f"{name} not a text: {type_name(value)}")


def text_bytes(text: str, most: int) -> int | None:
    """The bytes of a text in UTF-8 if they are more than `most`; else None."""
    length = len(text.encode("utf-8", "surrogatepass")) if 4 * len(text) > most else 0
    return length if length > most else None


def type_name(value: object) -> str:
    """JSON's name of the type of a value."""
    names = {list: "array", dict: "object", bool: "boolean", str: "string", type(None): "null"}
    return names.get(type(value), "number")


def _given(value: object) -> object:
    return None if value is MISSING else value


def _listed(row: Mapping[str, Any]) -> str:
    return ", ".join(str(key)[:60] for key in list(row)[:12]).encode("utf-8", "replace").decode() or "none"
