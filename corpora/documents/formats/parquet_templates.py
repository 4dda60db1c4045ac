"""Rows of Parquet whose text is made of several columns, or of a list of structs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpora.documents.formats.parquet_paths import field_of, paths
from corpora.documents.item import WorkItem
from corpora.documents.templates import ALIASES, NotText, RowText, as_text, text_bytes
from corpora.documents.values import first_column, is_text, strings, texts
from corpora.errors import BadArgument


@dataclass(frozen=True, slots=True)
class Made:
    """A row's text."""

    text: str


def refuse_columns(address: str, schema: pa.Schema, text: RowText) -> None:
    """Raises BadArgument unless the file has all columns of the template, and they have texts or numbers."""
    for name in text.columns:
        if field_of(schema, name) is None:
            raise BadArgument(
                f"{address} has no column {name}, which the template names; its columns are "
                f"{', '.join(paths(schema))}"
            )
    for name in text.fields:
        kind = _type(schema, name)
        if pa.types.is_nested(kind):
            raise BadArgument(f"{address}: column {name} is {kind}; a field of a template must be a text or a number")
    if text.turns:
        _refuse_turns(address, _type(schema, text.turns), text)


def _refuse_turns(address: str, kind: Any, text: RowText) -> None:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    inner = kind.value_type if any(test(kind) for test in tests) else None
    if pa.types.is_null(inner or kind):
        return  # no row has a turn
    if inner is None or not pa.types.is_struct(inner):
        raise BadArgument(f"{address}: column {text.turns} is {kind}; turns must be a list of structs")
    schema = pa.schema(list(inner))
    for name in text.turn.fields if text.turn else ():
        found = [field for alias in ALIASES.get(name, (name,)) if (field := field_of(schema, alias))]
        if not found:
            raise BadArgument(
                f"{address}: no turn of {text.turns} has {name}, which `turn` names; they have "
                f"{', '.join(paths(schema))}"
            )
        if not _is_plain(found[0].type):
            raise BadArgument(f"{address}: {text.turns}.{name} is {found[0].type}; it must be a text or a number")


def _type(schema: pa.Schema, name: str) -> Any:
    field = field_of(schema, name)
    return pa.null() if field is None else field.type


def _is_plain(kind: pa.DataType) -> bool:
    """Whether Python's value of it is a text, a number or a boolean."""
    return is_text(kind) or _is_number(kind)


def _is_number(kind: pa.DataType) -> bool:
    """Whether JSON has a spelling of it. Decimals and dates are Arrow's text."""
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def made_texts(table: pa.RecordBatch, item: WorkItem) -> Iterator[Made | str]:
    """The text of each row, or the reason why it is rejected."""
    text = item.row_text
    assert text is not None
    columns = [_values(first_column(table, name)) for name in text.fields]
    turns = first_column(table, text.turns) if text.turns else [None] * table.num_rows
    for values, said in zip(zip(*columns, strict=True) if columns else [()] * table.num_rows, turns, strict=True):
        try:
            given = {name: _utf8(name, value) for name, value in zip(text.fields, values, strict=True)}
            made = text.of(given, None if said is None else _turns(str(text.turns), said))
        except NotText as problem:
            yield str(problem)
            continue
        length = text_bytes(made, item.max_document_bytes)
        yield Made(made) if length is None else item.too_long(length)


def _values(column: pa.Array[Any]) -> list[Any]:
    """Texts, with bytes where they aren't UTF-8; numbers and booleans as Python's; all else as Arrow's text."""
    if is_text(column.type):
        return list(texts(column))
    return list(column.to_pylist() if _is_number(column.type) else strings(column))


def _utf8(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        raise NotText(f"invalid UTF-8: in {name}")
    return as_text(name, value)


def _turns(name: str, value: Any) -> object:
    try:
        turns = value.as_py()
    except UnicodeDecodeError:
        raise NotText(f"invalid UTF-8: in {name}") from None
    return None if turns is None else [_decoded(name, turn) for turn in turns]


def _decoded(name: str, turn: Any) -> Any:
    """A turn with its bytes as text: a column of bytes is read as UTF-8."""
    if not isinstance(turn, dict):
        return turn
    try:
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in turn.items()}
    except UnicodeDecodeError:
        raise NotText(f"invalid UTF-8: in {name}") from None
