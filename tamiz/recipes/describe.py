"""All sections and keys of recipes, from the settings classes and the texts below their fields."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from inspect import getsource
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import UNSET, inspect, structs

from corpora.choices import Choices, name_of
from corpora.documents.sources import SOURCES, DocumentSource
from tamiz.recipes.load import Header
from tamiz.recipes.problems import bounds_of, described
from tamiz.recipes.schema import Section
from tamiz.stages import ordered

TITLE = "# Recipe schema\n"
HEADER = {
    "base": "A bundled recipe, or a .toml file in the same folder: this file then says only what differs.",
    "without": "Sections and keys of the base to leave out, such as `sample.keep`.",
}


def page() -> str:
    """Markdown: a table for each section, and for each choice of a section."""
    parts = [TITLE, "Made of the settings classes; [Recipes](recipes.md) explains how to use them.\n"]
    types = {"base": "a text", "without": "a list of texts"}
    extra = [f"| `{key}` | {types[key]} | | {text} |" for key, text in HEADER.items()]
    parts.append("\n".join(["## Top level\n", *_head(), *_rows(Header), *extra, ""]))
    parts.append("\n".join(["## `[documents]`, or several `[[documents]]`\n", *_head(), *_rows(DocumentSource), ""]))
    parts.append(f"Published corpora for `source`: {', '.join(f'`{name}`' for name in SOURCES)}.\n")
    for stage in ordered():
        for section in stage.sections:
            parts += _section(section, stage.name)
    return "\n".join(parts)


def _section(section: Section, stage: str) -> Iterator[str]:
    yield f"## `[{section.name}]`\n\nOf stage `{stage}`.\n"
    if not isinstance(section.kind, Choices):
        yield "\n".join([*_head(), *_rows(section.kind, section), ""])
        if section.variants:
            yield f"`[{section.name}.{section.variants}.NAME]` has the same keys, apart from `{section.variants}`.\n"
        return
    choices: Choices[Any] = section.kind
    default = f"; default `{section.default}`" if section.default else ""
    yield f"`{choices.tag}` is one of {', '.join(f'`{name}`' for name in choices.names())}{default}.\n"
    for kind in choices:
        yield "\n".join([f'### `{choices.tag} = "{name_of(kind)}"`\n', *_head(), *_rows(kind, section), ""])


def _head() -> list[str]:
    return ["| key | it must be | default | |", "|---|---|---|---|"]


def _rows(kind: type, section: Section | None = None) -> Iterator[str]:
    texts = documentation(kind)
    for field in structs.fields(kind):
        bounds = bounds_of(kind, field)
        must = described(inspect.type_info(field.type)) + (f", {bounds}" if bounds else "")
        taken = section.takes.get(field.encode_name) if section else None
        default = f"that of {taken}" if taken else "required" if field.required else _default(field)
        cells = (f"`{field.encode_name}`", must, default, texts.get(field.name, ""))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: structs.FieldInfo) -> str:
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    plain = msgspec.to_builtins(value)
    return "" if plain is None or plain in ("", {}) else f"`{msgspec.json.encode(plain).decode()}`"


@cache
def documentation(kind: type) -> dict[str, str]:
    """Field -> the text below it, of a settings class and those that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, msgspec.Struct) and base.__module__ != "msgspec":
            found |= _below_fields(base)
    return found


def _below_fields(kind: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(getsource(kind)))
    except (OSError, TypeError):  # a class without a source file
        return {}
    definition = tree.body[0]
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    found = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
            found[field.target.id] = _in_a_recipe(ast.literal_eval(text.value))  # type: ignore[attr-defined]
    return found


def _in_a_recipe(text: str) -> str:
    """The text in one line. TOML has no None: there, a key is left out."""
    line = " ".join(text.split())
    return re.sub(r"\bNone (keeps|trains)", r"Leaving it out \1", re.sub(r"\bNone: ", "Left out: ", line))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a recipe file, for editors."""
    documents = _object(DocumentSource)
    properties: dict[str, Any] = {
        **_object(Header)["properties"],
        "base": {"type": "string", "description": HEADER["base"]},
        "without": {"type": "array", "items": {"type": "string"}, "description": HEADER["without"]},
        "documents": {"anyOf": [documents, {"type": "array", "items": documents}]},
    }
    for stage in ordered():
        for section in stage.sections:
            properties[section.name] = _section_schema(section)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Recipe of tamiz",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _section_schema(section: Section) -> dict[str, Any]:
    if not isinstance(section.kind, Choices):
        found = _object(section.kind)
        if section.variants:
            inner = _object(section.kind)
            del inner["properties"][section.variants]
            table = {"type": "object", "additionalProperties": inner}
            found["properties"][section.variants] |= table
            found["properties"][section.variants].pop("anyOf", None)
        return found
    choices: Choices[Any] = section.kind
    options = []
    for kind in choices:
        option = _object(kind)
        name = name_of(kind)
        option["properties"][choices.tag] = {"const": name}
        option["required"] = [] if name == section.default else [choices.tag]  # a base may have the others
        options.append(option)
    return {"anyOf": options}


def _object(kind: type) -> dict[str, Any]:
    """The keys of one settings class; none is required, since a base may have it."""
    texts = documentation(kind)
    properties = {}
    for field in structs.fields(kind):
        entry = _inlined(field.type)
        entry["description"] = texts.get(field.name, "")
        value = field.default if field.default is not msgspec.NODEFAULT else UNSET
        if value is not UNSET and value is not None:
            entry["default"] = msgspec.to_builtins(value)
        properties[field.encode_name] = entry
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _inlined(kind: Any) -> dict[str, Any]:
    """The schema of a type, with the classes that it refers to in their place."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")

    def resolved(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolved(components[part["$ref"]])
            return {key: resolved(value) for key, value in part.items()}
        return [resolved(value) for value in part] if isinstance(part, list) else part

    result: dict[str, Any] = resolved(schema)
    return result
