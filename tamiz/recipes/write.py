"""A resolved recipe as TOML that runs, with the sources of its numbers as comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from msgspec import structs

from corpora import extras
from tamiz.recipes.schema import Recipe


def as_toml(recipe: Recipe) -> Iterator[str]:
    """Yields lines. Saved and loaded, they give the same recipe; its `sources` are comments."""
    plain = recipe.asdict()
    sources = plain.pop("sources")
    for key, value in plain.items():
        if key == "documents":
            for entry in value:
                yield from _table("[[documents]]", entry, {})
        elif isinstance(value, dict):
            settings = recipe.sections[key]
            tables = {field: inner for field, inner in value.items() if _is_of_tables(inner)}
            value = {field: inner for field, inner in value.items() if field not in tables}
            comments = {field: sources.get(f"{key}.{field}") or _default(settings, field) for field in value}
            yield from _table(f"[{key}]", value, comments)
            yield from _size(settings)
            for field, inner in tables.items():
                yield from _inner_tables(f"{key}.{field}", inner, sources)
        elif value:
            yield _line(key, value, sources.get(key))


def _is_of_tables(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(inner, dict) for inner in value.values())


def _inner_tables(place: str, tables: Mapping[str, Any], sources: Mapping[str, str]) -> Iterator[str]:
    """Tables inside a section, such as [lm.languages.ko]."""
    for name, table in tables.items():
        numbers = {
            key for key, value in table.items() if isinstance(value, int | float) and not isinstance(value, bool)
        }
        unsaid = dict.fromkeys(numbers, "no source is given")
        comments = {key: sources.get(f"{place}.{name}.{key}") or unsaid.get(key) for key in table}
        yield from _table(f"[{place}.{_key(name)}]", table, comments)


def _default(settings: Any, key: str) -> str | None:
    """What to say of a number that the recipe leaves as it is, or sets without a source."""
    value = getattr(settings, key, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    defaults = {field.encode_name: field.default for field in structs.fields(type(settings))}
    return "tamiz's default" if defaults.get(key) == value else "no source is given"


def _size(settings: Any) -> Iterator[str]:
    """The parameters of a model."""
    if not hasattr(settings, "num_parameters"):
        return
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        yield f"# parameters: to count them, {' and '.join(missing)} must be installed: {extras.line('train')}"
    else:
        yield f"# {settings.num_parameters():,} parameters"


def _table(title: str, content: Mapping[str, Any], comments: Mapping[str, str | None]) -> Iterator[str]:
    yield ""
    yield title
    for key, value in content.items():
        if value is not None:
            yield _line(key, value, comments.get(key))


def _line(key: str, value: Any, comment: str | None) -> str:
    return f"{_key(key)} = {_value(value)}" + (f"    # {' '.join(comment.split())}" if comment else "")


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    """A value as TOML writes it; a table without its None values."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    if isinstance(value, dict):
        present = [f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None]
        return f"{{ {', '.join(present)} }}"
    return str(value).lower() if isinstance(value, bool) else repr(value)
