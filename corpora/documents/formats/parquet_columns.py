"""The columns of a Parquet file that a sample carries over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpora.documents.carried import REST, CarriedColumn, nulls
from corpora.documents.formats.parquet_paths import column_without
from corpora.documents.values import first_column, strings


class CarriedTable:
    """Columns of a batch. documents: int[n], the row of each document in the table. inner: columns and paths inside
    them, such as that of the text, which the columns are carried without."""

    def __init__(
        self,
        table: pa.RecordBatch,
        documents: NDArray[np.int32],
        columns: Sequence[CarriedColumn],
        inner: Sequence[tuple[str, Sequence[str]]] = (),
    ) -> None:
        self._table, self._documents, self._columns, self._inner = table, documents, columns, inner

    def table(self, places: NDArray[np.int64]) -> pa.Table:
        rows = pa.array(self._documents[places], pa.int64())
        schema = pa.schema([(column.name, column.type) for column in self._columns])
        return pa.Table.from_arrays([self._column(column, rows) for column in self._columns], schema=schema)

    def objects(self, places: NDArray[np.int64]) -> list[dict[str, Any]]:
        table = self.table(places)
        present = [column.name for column in self._columns if column.field != REST]
        values = [_json_values(table.column(name).combine_chunks()) for name in present]
        rows = zip(*values, strict=True) if values else [()] * len(places)
        return [dict(zip(present, row, strict=True)) for row in rows]

    def left_out(self, places: NDArray[np.int64]) -> set[str]:  # noqa: ARG002
        return set()  # a file's columns are known before its rows are read

    def _column(self, column: CarriedColumn, rows: Any) -> Any:
        found = first_column(self._table, column.field)
        if found is None:
            return nulls(len(rows), column.type)
        taken = found.take(rows)
        for name, path in self._inner:
            taken = column_without(taken, path) if name == column.field else taken
        taken = _valid(taken)
        if taken.type == column.type:
            return taken
        if column.type == pa.string():
            return pa.array(strings(taken), pa.string())
        return taken.cast(column.type)


def _valid(column: Any) -> Any:
    """The column with null for each value that holds a string that isn't UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        good = pa.array([_is_valid(column.take(pa.array([row]))) for row in range(len(column))], pa.bool_())
        return pc.if_else(good, column, nulls(len(column), column.type))
    return column


def _is_valid(value: pa.Array[Any]) -> bool:
    try:
        value.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _json_values(column: pa.Array[Any]) -> list[Any]:
    """The values as msgspec encodes them: numbers and booleans as they are, nested ones as JSON, others as text."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return list(column.to_pylist())
    if pa.types.is_nested(kind):
        return [None if text is None else msgspec.Raw(text.encode()) for text in strings(column)]
    return list(strings(column))
