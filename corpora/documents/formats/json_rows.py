"""The wanted fields of JSON objects as attributes of a msgspec.Struct: one type for all lines of a file.

Fields that aren't wanted are skipped by the decoder. A value of an unexpected type makes it refuse the line, which is
then decoded by `json` (`json_parser`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

_SIMPLE = str | int | float | bool | None  # what a field of a likely name may hold without being an error

Get = Callable[[Any], Any]


class _Node:
    """A key: whether its value is wanted itself, and the wanted keys of the object that it holds."""

    def __init__(self) -> None:
        self.type: Any = None  # of the value itself, if it is wanted
        self.default: Any = None
        self.inner: dict[str, _Node] = {}

    def at(self, path: Sequence[str]) -> _Node:
        node = self
        for key in path:
            node = node.inner.setdefault(key, _Node())
        return node

    def struct(self) -> type[msgspec.Struct]:
        keys = list(self.inner)
        required = [key for key in keys if self.inner[key].default is msgspec.NODEFAULT]
        fields: list[Any] = [(_attribute(key), self.inner[key].annotation()) for key in required]
        fields += [(_attribute(key), self.inner[key].annotation(), self.inner[key].default)
                   for key in keys if key not in required]  # fmt: skip
        rename = {_attribute(key): key for key in keys}
        return msgspec.defstruct("Row", fields, rename=rename, gc=False)

    def overlaps(self) -> bool:
        """Whether a value inside this one is wanted, and one inside that value too; likely names don't count."""
        return any(
            (node.inner and node.type not in (None, _SIMPLE)) or node.overlaps() for node in self.inner.values()
        )

    def annotation(self) -> Any:
        if not self.inner:
            return self.type
        return self.struct() | (_SIMPLE if self.type is None else self.type)


def _attribute(key: str) -> str:
    """An identifier for a key."""
    return f"f{key.encode().hex()}"


class Column:
    """One value of every document: that of the first name, or the first string under the other names."""

    def __init__(self, first: str, *others: str) -> None:
        self._get = _getter(first)
        self._others = [_getter(name) for name in others]
        attributes = {_attribute(name.partition(".")[0]): None for name in others}
        literals = {_attribute(name): UNSET for name in others if "." in name}
        self._heads = attrgetter(*attributes, *literals, *attributes) if others else None  # two or more: a tuple
        self._nothing = (*attributes.values(), *literals.values(), *attributes.values())

    def __call__(self, rows: Sequence[Any]) -> list[str | None]:
        values = list(map(self._get, rows))
        if self._heads and None in values and list(map(self._heads, rows)).count(self._nothing) < len(rows):
            for place, value in enumerate(values):
                if value is None:
                    values[place] = self._other(rows[place])
        return values

    def _other(self, row: Any) -> str | None:
        for get in self._others:
            value = get(row)
            if type(value) is str:
                return value
        return None


@lru_cache(64)  # a class lives until the garbage collector comes
def columns_of(names: tuple[tuple[str, ...], ...]) -> tuple[type[msgspec.Struct], list[Column]] | None:
    """The type of a row, and how to get each column from rows. names: the text's first; it is required.

    None if one wanted value lies inside another: such rows can't be read this way.
    """
    root = _Node()
    for _, *others in names:
        for name in others:
            _want(root, name, _SIMPLE, None)
    for place, (first, *_) in reversed(list(enumerate(names))):
        _want(root, first, str | None, None)
        if place == 0 and "." not in first:
            _want(root, first, str, msgspec.NODEFAULT)
    if root.overlaps():
        return None
    return root.struct(), [Column(*group) for group in names]


def _want(root: _Node, name: str, kind: Any, default: Any) -> None:
    node = root.at(name.split("."))
    node.type, node.default = kind, default
    if "." in name:  # a key with dots in it comes first
        literal = root.at([name])
        literal.type, literal.default = kind | UnsetType, UNSET


def _getter(name: str) -> Get:
    if "." not in name:
        return attrgetter(_attribute(name))
    literal = attrgetter(_attribute(name))
    path = [_attribute(key) for key in name.split(".")]

    def get(row: Any) -> Any:
        value = literal(row)
        if value is not UNSET:
            return value
        for attribute in path:
            row = getattr(row, attribute, None)
        return row

    return get
