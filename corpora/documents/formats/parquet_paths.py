"""Columns inside structs of a Parquet file, by their path, such as `metadata.text`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa


def field_of(schema: pa.Schema, name: str) -> pa.Field[Any] | None:
    """The column of that name, or else the one at that path; None if there is neither."""
    if name in schema.names:
        return schema.field(schema.get_all_field_indices(name)[0])
    first, *rest = name.split(".")
    if not rest or first not in schema.names:
        return None
    field = schema.field(schema.get_all_field_indices(first)[0])
    for part in rest:
        if not pa.types.is_struct(field.type) or field.type.get_field_index(part) < 0:
            return None
        field = field.type.field(part)
    return field


def paths(schema: pa.Schema) -> Iterator[str]:
    """The names of all columns, those inside structs by their paths."""
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.num_fields:
            yield from (f"{field.name}.{inner}" for inner in paths(pa.schema(list(field.type))))
        else:
            yield field.name


def with_inner(batch: pa.RecordBatch, names: Iterable[str]) -> pa.RecordBatch:
    """The batch with a column for each of the names that is a path."""
    for name in names:
        if name in batch.schema.names:
            continue
        first, *rest = name.split(".")
        column: Any = batch.column(batch.schema.get_all_field_indices(first)[0])
        for part in rest:
            column = column.flatten()[column.type.get_field_index(part)]  # unlike `field`, heeds the struct's nulls
        batch = batch.append_column(name, column)
    return batch


def type_without(kind: pa.DataType, path: Sequence[str]) -> pa.DataType | None:
    """The type of a column without the field at `path` inside it; None if nothing is left of it."""
    if not path:
        return None
    place = kind.get_field_index(path[0]) if pa.types.is_struct(kind) else -1
    if place < 0:
        return kind
    inner = type_without(kind.field(place).type, path[1:])
    fields = [kind.field(n) for n in range(kind.num_fields)]
    fields[place : place + 1] = [fields[place].with_type(inner)] if inner is not None else []
    return pa.struct(fields) if fields else None


def column_without(column: Any, path: Sequence[str]) -> Any:
    """The column without the field at `path` inside it, of which something must be left."""
    kind: Any = type_without(column.type, path)
    if kind is None or kind == column.type:
        return column
    children = [column.field(n) for n in range(column.type.num_fields)]
    place = column.type.get_field_index(path[0])
    if kind.num_fields < len(children):
        del children[place]
    else:
        children[place] = column_without(children[place], path[1:])
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=column.is_null())
