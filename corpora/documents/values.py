"""Values of Arrow columns as Python strings: the one cast that all readers and the draw use.

No value of a column raises an error here. A value that has no text is null.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def first_column(table: pa.Table | pa.RecordBatch, name: str) -> Any:
    """The first column called `name` (a file may have several), decoded; None if there is none."""
    places = table.schema.get_all_field_indices(name)
    return decoded(table.column(places[0])) if places else None


def decoded(column: Any) -> pa.Array[Any]:
    """The column as one array, without chunks, dictionary, runs or extension type."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        return decoded(column.storage)
    if pa.types.is_dictionary(column.type):
        return decoded(column.dictionary_decode())
    if pa.types.is_run_end_encoded(column.type):
        return decoded(pc.call_function("run_end_decode", [column]))
    return column  # type: ignore[no-any-return]


def is_text(kind: pa.DataType) -> bool:
    """Whether `texts` can read a column of this type."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_text(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_text(kind.value_type)
    return _is_utf8(kind) or _is_binary(kind) or pa.types.is_null(kind)


def stored(kind: pa.DataType) -> pa.DataType:
    """The type of `decoded` values of a column of type `kind`, with plain strings and bytes for views."""
    if isinstance(kind, pa.BaseExtensionType):
        return stored(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def texts(column: pa.Array[Any]) -> list[str | bytes | None]:
    """The values of a decoded column for which `is_text` holds: bytes where they aren't UTF-8."""
    try:
        if _is_utf8(column.type):
            return list(column.to_pylist())
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
    return [_utf8_or_bytes(value) for value in values]


def strings(column: pa.Array[Any]) -> list[str | None]:
    """The values of a decoded column as strings.

    Numbers, dates and times are Arrow's text of them, such as `2019-04-25 12:57:54.000000` for microseconds. Lists,
    structs and maps are JSON, with Arrow's text of what JSON can't say. Strings and bytes that aren't UTF-8 are null.
    """
    kind = column.type
    if _is_utf8(kind) or _is_binary(kind):
        return [None if isinstance(value, bytes) else value for value in texts(column)]
    return _json_texts(column) if pa.types.is_nested(kind) else list(_cast(column).to_pylist())


def _cast(column: pa.Array[Any]) -> pa.Array[Any]:
    """large_string[n]: Arrow's text of numbers, dates and times."""
    try:
        return column.cast(pa.large_string())
    except pa.ArrowException:
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:  # a zone that this machine doesn't know
            return _cast(column.cast(pa.timestamp(column.type.unit, "UTC")))
        return pa.nulls(len(column), pa.large_string())  # a type without a text


def _json_texts(column: pa.Array[Any]) -> list[str | None]:
    try:
        return [None if value is None else _dumps(value) for value in column.to_pylist()]
    except (TypeError, ValueError, OverflowError):  # a value that Python can't hold, or JSON can't say
        return [_dumps(_said(value)) if value.is_valid else None for value in column]


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _said(value: Any) -> Any:
    """A pa.Scalar as JSON's values, equal to as_py() where as_py() gives such values."""
    kind = value.type
    if not value.is_valid or pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        return {kind.field(place).name: _said(value[place]) for place in range(kind.num_fields)}
    if pa.types.is_map(kind):
        return [[_said(entry[0]), _said(entry[1])] for entry in value.values]
    if pa.types.is_nested(kind):
        return [_said(each) for each in value.values]
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return value.as_py()
    if pa.types.is_floating(kind):
        return value.as_py() if math.isfinite(value.as_py()) else None
    return strings(decoded(pa.repeat(value, 1)))[0]


def _is_utf8(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _utf8_or_bytes(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
