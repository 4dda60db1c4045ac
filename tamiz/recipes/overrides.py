"""`--set key.path=value`: changes to a recipe's tree before it is checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpora.errors import BadArgument
from tamiz.recipes.schema import Section

DOCUMENTS_DISPLACE = {"input": ("source",), "source": ("input",)}  # a source of documents has one of them


@dataclass(frozen=True)
class Override:
    """One change. value: None removes the key."""

    path: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, text: str) -> Override:
        """Parses `key.path=value`. The value is TOML if it parses as such, else a string; empty removes the key."""
        key, equals, value = text.partition("=")
        path = tuple(key.strip().split("."))
        if len(value.strip().splitlines()) > 1 and not isinstance(_value(value), list):
            first, second = value.strip().splitlines()[:2]
            raise BadArgument(f"--set {key}={first!r} goes on with a line {second!r}: give each key its own --set")
        if not equals or not all(path):
            raise BadArgument(f"--set {text!r} must be key.path=value, such as train.steps=20")
        return cls(path, None if value == "" else _value(value))

    @property
    def key(self) -> str:
        return ".".join(self.path)

    def apply(self, tree: dict[str, Any], sections: Mapping[str, Section]) -> None:
        """Changes `tree` in place. Raises BadArgument for a path that doesn't exist."""
        displaced: Mapping[str, tuple[str, ...] | None] = {}
        if len(self.path) == 1:
            home = tree
        elif self.path[0] == "documents":
            home, displaced = self._source(tree), DOCUMENTS_DISPLACE
        else:
            displaced = self._displaced(tree, sections.get(self.path[0]))
            home = self._table(tree)
        name = self.path[-1]
        if self.value is None:
            home.pop(name, None)
            return
        _displace(home, name, displaced)
        home[name] = self.value

    def _displaced(self, tree: dict[str, Any], section: Section | None) -> Mapping[str, tuple[str, ...] | None]:
        """What a key removes. One of a table that overrides the section ([lm.languages.ko]) removes the same keys
        there, and the tables themselves remove keys of the section."""
        if section is None or (len(self.path) > 2 and self.path[1] != section.variants):
            return {}
        own = tree.get(section.name)
        if len(self.path) > 2 and self.value is not None and isinstance(own, dict):
            _displace(own, self.path[1], section.displaces)
        return section.displaces if len(self.path) in (2, 4) else {}

    def _table(self, tree: dict[str, Any]) -> dict[str, Any]:
        table = tree
        for part in self.path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise BadArgument(f"--set {self.key}: {part} is not a section")
        return table

    def _source(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The source of documents that the path names by its number, or the only source."""
        listed = tree.get("documents", [])
        listed = tree["documents"] = listed if isinstance(listed, list) else [listed]
        if not listed:
            listed.append({})
        inner = self.path[1:-1]
        if not inner:
            if len(listed) > 1:
                raise BadArgument(
                    f"--set {self.key}: the recipe has {len(listed)} sources of documents; "
                    f"name one of them, such as documents.0.{self.path[-1]}"
                )
            return _entry(listed[0], self.key)
        if len(inner) > 1 or not inner[0].isdecimal() or int(inner[0]) > len(listed):
            raise BadArgument(
                f"--set {self.key}: the recipe's last source is documents.{len(listed) - 1}; "
                f"to add one, set documents.{len(listed)}"
            )
        number = int(inner[0])
        if number == len(listed):
            listed.append({})
        return _entry(listed[number], self.key)


def _displace(home: dict[str, Any], name: str, displaced: Mapping[str, tuple[str, ...] | None]) -> None:
    """Removes the keys that can't be combined with `name`."""
    if name in displaced:
        excluded = displaced[name]
        for other in [k for k in home if k != name and (excluded is None or k in excluded)]:
            del home[other]


def _entry(entry: Any, key: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadArgument(f"--set {key}: {entry!r} is not a source of documents")
    return entry


def _value(text: str) -> Any:
    try:
        tree = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return tree["value"] if len(tree) == 1 else text
