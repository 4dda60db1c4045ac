"""What is wrong with a section of a recipe: all of it at once, by path, with the value and what it must be."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect, structs

from corpora.choices import Choices
from corpora.errors import BadArgument
from tamiz.recipes.schema import Section

LONGEST_VALUE = 60
_MUST_BE = re.compile(r"must be (.+?)(?: \(|; |: |$)")
_LOW, _HIGH = -1_000_003, 10**15  # beyond every bound
_LARGEST = 2**63 - 1
_WORDS: dict[type, str] = {
    inspect.IntType: "an integer",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.BoolType: "true or false",
    inspect.DictType: "a table",
    inspect.StructType: "a table",
}


def of_section(section: Section, tree: Mapping[str, Any]) -> list[str]:
    """Unknown and missing keys and wrong types; empty if the section can be read."""
    kind, others = section.kind, set[str]()
    if isinstance(kind, Choices):
        choices: Choices[Any] = kind
        name = tree.get(choices.tag, section.default)
        try:
            kind = choices.get(name if isinstance(name, str) else repr(name))
        except BadArgument:
            return [f"{section.name}.{choices.tag} is {shown(name)}; it must be {choice_of(choices.names(), name)}"]
        others = {choices.tag, *fields_of(section)}  # reading says whose the keys of other choices are
    variants = tree.get(section.variants) if section.variants else None
    if not isinstance(variants, dict):
        return of_table(section.name, kind, tree, others)
    plain = {key: value for key, value in tree.items() if key != section.variants}
    return [*of_table(section.name, kind, plain, others), *_of_variants(section, kind, variants)]


def _of_variants(section: Section, kind: type, variants: Mapping[str, Any]) -> Iterator[str]:
    """The same for the tables that override the section, such as [lm.languages.ko]."""
    for name, table in variants.items():
        place = f"{section.name}.{section.variants}.{name}"
        if not isinstance(table, dict):
            yield f"{place} is {shown(table)}; it must be a table"
            continue
        yield from of_table(place, kind, {key: value for key, value in table.items() if key != section.variants})
        if section.variants in table:
            yield f"{place}.{section.variants}: no such key"


def fields_of(section: Section) -> set[str]:
    """All keys that the section, or any of its choices, has."""
    kinds = section.kind if isinstance(section.kind, Choices) else (section.kind,)
    return {key for kind in kinds for key in getattr(kind, "__struct_fields__", ())}


def of_table(place: str, kind: type, tree: Mapping[str, Any], others: Iterable[str] = ()) -> list[str]:
    """As `of_section`, for the keys of one settings class. others: known keys that aren't its own."""
    fields = {field.encode_name: field for field in structs.fields(kind)}
    path = f"{place}." if place else ""
    found = [_unknown(path, key, fields) for key in tree if key not in {*fields, *others}]
    for key, field in fields.items():
        if key in tree:
            found += _wrong(f"{path}{key}", kind, field, tree[key])
        elif field.required:
            found.append(f"{path}{key} is missing: it must be {must_be(kind, field)}")
    return found


def _unknown(path: str, key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f"{path}{key}: no such key" + (f", did you mean {path}{near}?" if near else "")


def nearest(name: object, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def choice_of(names: Iterable[str], given: object) -> str:
    """`one of a, b, c`, with the name that was probably meant. given: None if nothing was."""
    near = None if given is None else nearest(given, names)
    return f"one of {', '.join(names)}" + (f"; did you mean {near}?" if near else "")


def _wrong(path: str, kind: type, field: structs.FieldInfo, value: Any) -> list[str]:
    nested = _tables(path, inspect.type_info(field.type), value)
    if nested:
        return nested
    try:
        msgspec.convert(value, field.type, strict=True)
    except msgspec.ValidationError as error:
        inner = error.__cause__
        if isinstance(inner, ValueError):  # of a table's own check
            return [f"{path}.{inner}"]
        entries = _entries(path, field, value)
        if entries:
            return entries
        return [f"{path} is {shown(value)}; it must be {must_be(kind, field, value)}"]
    if isinstance(value, int) and abs(value) > _LARGEST:
        return [f"{path} is {shown(value)}; it must be {must_be(kind, field)}, and below 2^63"]
    return []


def _entries(path: str, field: structs.FieldInfo, value: Any) -> list[str]:
    """The wrong values of a table whose keys are free, such as weights."""
    kinds = [t for t in _alternatives(inspect.type_info(field.type)) if isinstance(t, inspect.DictType)]
    if not kinds or not isinstance(value, dict):
        return []
    wrong = []
    for key, entry in value.items():
        try:
            msgspec.convert({key: entry}, field.type, strict=True)
        except msgspec.ValidationError:
            wrong.append(f"{path}.{key} is {shown(entry)}; it must be {described(kinds[0].value_type)}")
    return wrong


def _tables(path: str, info: inspect.Type, value: Any) -> list[str]:
    """Problems of the tables in a value: one table, or a list of them."""
    tables = [t for t in _alternatives(info) if isinstance(t, inspect.StructType)]
    lists = [t.item_type for t in _alternatives(info) if isinstance(t, inspect.VarTupleType | inspect.ListType)]
    if isinstance(value, dict) and tables:
        return of_table(path, tables[0].cls, value)
    if isinstance(value, list):
        return [p for t in lists for n, entry in enumerate(value) for p in _tables(f"{path}.{n}", t, entry)]
    return []


def must_be(kind: type, field: structs.FieldInfo, given: object = None) -> str:
    """`an integer, at least 1`: the type and the bounds of a field of a settings class."""
    bounds = bounds_of(kind, field)
    return described(inspect.type_info(field.type), given) + (f", {bounds}" if bounds else "")


def described(info: inspect.Type, given: object = None) -> str:
    """A type in words; `a list of texts, or a text`."""
    parts = dict.fromkeys(_one(t, given) for t in _alternatives(info))
    if "a number" in parts:
        parts.pop("an integer", None)
    return ", or ".join(parts)


def _one(info: inspect.Type, given: object) -> str:
    if isinstance(info, inspect.LiteralType):
        return choice_of([str(value) for value in info.values], given)
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        return f"a list of {_plural(info.item_type)}"
    if isinstance(info, inspect.TupleType):
        return f"a list of {len(info.item_types)} {_plural(info.item_types[0])}"
    return _WORDS.get(type(info), "a value of another type")


def _plural(info: inspect.Type) -> str:
    return described(info).removeprefix("an ").removeprefix("a ") + "s"


def _alternatives(info: inspect.Type) -> list[inspect.Type]:
    """The types that a value may have, without null, which no recipe can write."""
    types = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [t for t in types if not isinstance(t, inspect.NoneType)]


def bounds_of(kind: type, field: structs.FieldInfo) -> str:
    """What the settings class says that a number must be, asked with numbers that no bound allows; or nothing."""
    types = _alternatives(inspect.type_info(field.type))
    for number in (int, float):
        if any(isinstance(t, inspect.IntType if number is int else inspect.FloatType) for t in types):
            return next(filter(None, (_answer(kind, field, number(value)) for value in (_LOW, _HIGH))), "")
    return ""


def _answer(kind: type, field: structs.FieldInfo, value: float) -> str:
    needed: dict[str, Any] = {f.name: _any_of(f) for f in structs.fields(kind) if f.required}
    with contextlib.suppress(TypeError):  # of a check that takes more than numbers
        try:
            kind(**{**needed, field.name: value})
        except (ValueError, BadArgument) as error:
            text = str(error)
            found = _MUST_BE.search(text) if text.startswith(field.name) else None
            return found[1] if found else ""
    return ""


def _any_of(field: structs.FieldInfo) -> Any:
    """Some value of a required field."""
    samples: dict[type, Any] = {inspect.IntType: 1000, inspect.FloatType: 0.5, inspect.BoolType: True}
    return samples.get(type(_alternatives(inspect.type_info(field.type))[0]), "x")


def shown(value: object) -> str:
    """A value in a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
