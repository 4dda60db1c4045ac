"""Columns that a sample carries over from its inputs, beside text, url and timestamp: which ones, and their types.

Parquet columns keep their type, those of CSV are strings. JSON has no types, so all other fields of an object stay
together as one JSON string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from corpora.documents.carried import PREFIX, REST, CarriedColumn, fields_digest
from corpora.documents.groups import source_of
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument

if TYPE_CHECKING:
    import pyarrow as pa

    from corpora.documents.formats.base import Format

Columns = str | tuple[str, ...] | None
"""Which columns a sample carries: "all", "none", or those named. None: all that the inputs are known to have before
their rows are read."""

METADATA = "metadata"
"""The column that holds the other fields of JSON objects."""


@dataclass(frozen=True)
class Carrying:
    """The decision for all inputs. left_out: known fields of the inputs that no column carries, in order."""

    columns: tuple[CarriedColumn, ...] = ()
    left_out: tuple[str, ...] = ()
    watched: bool = False
    """Whether rows may have fields that nobody knows of yet: a warning names those that are left out."""
    respelled: bool = False
    """Whether a url or timestamp is of a type whose spelling changed: dates and times had Python's text once."""
    glimpsed: Mapping[str, str] = field(default_factory=dict)
    """Address -> what was seen of a file of the Hub before it is fetched and checked: see `WorkItem.glimpsed`."""

    def of_glimpsed(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """The items, whose work refuses a file that isn't what was seen."""
        return [msgspec.structs.replace(item, glimpsed=self.glimpsed.get(item.path)) for item in items]

    @property
    def identity(self) -> dict[str, str]:
        """Name -> type, for fingerprints."""
        return {column.name: str(column.type) for column in self.columns}


@dataclass
class _Found:
    """The fields of all inputs by name, in order of first appearance, with each type that occurs."""

    types: dict[str, list[pa.DataType]] = field(default_factory=dict)
    json: bool = False
    """Whether any input is of JSON objects."""
    rest: list[str] = field(default_factory=list)
    """Fields of JSON objects that their first rows show."""
    respelled: bool = False
    glimpsed: dict[str, str] = field(default_factory=dict)
    offered: set[str] = field(default_factory=set)
    """Names of those fields that some input's format has carried without being asked."""


def carrying(items: Sequence[WorkItem], columns: Columns, reserved: Sequence[str]) -> Carrying:
    """Decides which columns a sample of `items` carries. reserved: names of the sample's own columns.

    Depends on the inputs alone. The first file of each source is looked at for JSON, every file for Parquet and CSV.
    Files may differ: a column that a file lacks is null there, and types that differ are promoted (int32 and int64
    to int64) or, if they can't be, become strings. Raises BadArgument for a named column that no input has.
    """
    found = _look(items)
    if columns == "none":
        decided = Carrying((), tuple(dict.fromkeys([*found.types, *found.rest])))
    elif columns is None or columns == "all":
        decided = _everything(found, reserved, always=columns == "all")
    else:
        decided = _named(found, [columns] if isinstance(columns, str) else columns, reserved)
    return replace(decided, respelled=found.respelled, glimpsed=found.glimpsed)


def _look(items: Sequence[WorkItem]) -> _Found:
    from corpora.documents.formats import FORMATS
    from corpora.documents.formats.base import usual_columns

    found, seen = _Found(), set[tuple[str, str]]()
    for item in items:
        format = FORMATS.get(item.format)
        key = (item.format, source_of(item.name) if format.schemaless else item.path)
        if key in seen:
            continue
        seen.add(key)
        fields, usual = _fields(format, item, found), usual_columns(item)
        of_usual = [fields.pop(name) for name in usual if name in fields]
        if format.schemaless:
            found.json = True
            found.rest += [name for name in fields if name not in found.rest]
        else:
            found.respelled |= any(map(_is_respelled, of_usual))
            _add_types(found, fields)
            found.offered |= set() if format.carried_on_request else fields.keys()
    return found


def _fields(format: Format, item: WorkItem, found: _Found) -> dict[str, pa.DataType]:
    """Files of the Hub are looked at in part where the work checks what was seen, and else fetched whole for it."""
    if not (item.commit and format.checks_glance):
        return dict(format.fields(item))
    fields = dict(format.fields(item.at_a_glance()))
    found.glimpsed[item.path] = fields_digest(fields)
    return fields


def _add_types(found: _Found, fields: Mapping[str, pa.DataType]) -> None:
    for name, kind in fields.items():
        kinds = found.types.setdefault(name, [])
        if kind not in kinds:
            kinds.append(kind)


def _is_respelled(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return (pa.types.is_temporal(kind) and not pa.types.is_date(kind)) or pa.types.is_floating(kind)


def _everything(found: _Found, reserved: Sequence[str], always: bool) -> Carrying:
    import pyarrow as pa

    taken = set(reserved)
    types = {name: kinds for name, kinds in found.types.items() if always or name in found.offered}
    columns = [CarriedColumn(_free(name, taken), name, _common(kinds)) for name, kinds in types.items()]
    if found.rest or (always and found.json):
        columns.append(CarriedColumn(_free(METADATA, taken), REST, pa.string()))
    unseen = found.json and all(column.field != REST for column in columns)
    return Carrying(tuple(columns), tuple(name for name in found.types if name not in types), unseen)


def _named(found: _Found, names: Sequence[str], reserved: Sequence[str]) -> Carrying:
    import pyarrow as pa

    taken, columns = set(reserved), []
    for name in dict.fromkeys(names):
        if name not in found.types and not found.json:
            listed = ", ".join(found.types) or "none"
            raise BadArgument(
                f"columns: no input has {name!r}; beside text, url and timestamp the inputs have {listed}"
            )
        kind = pa.string() if found.json else _common(found.types[name])
        columns.append(CarriedColumn(_free(name, taken), name, kind))
    known = dict.fromkeys([*found.types, *found.rest])
    return Carrying(tuple(columns), tuple(name for name in known if name not in names))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{PREFIX}{name}"
    taken.add(name)
    return name


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """The one type that values of all these types are stored as."""
    import pyarrow as pa

    try:
        schemas = [pa.schema([("", kind)]) for kind in kinds]
        unified: pa.DataType = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()
    return unified
