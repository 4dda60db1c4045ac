"""The columns of one work item, gathered batch by batch, written in input order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.errors import BadArgument
from corpora.home import writing
from corpora.stores.base import FileRecord

ROW = "row"
KEEP = "keep"
LANGUAGE = "language"
_MEANT = {KEEP: "bool", LANGUAGE: "string"}  # columns that `tamiz sample` acts on
_type_named: Any = pa.type_for_alias  # the stubs type it for literals only


def arrow_schema(schema: Mapping[str, str]) -> pa.Schema:
    """`row`, then the columns. Raises BadArgument for no column, a reserved name, or an unsupported type."""
    fields: list[pa.Field[Any]] = [pa.field(ROW, pa.int32())]
    if not schema or ROW in schema:
        raise BadArgument(f"columns are {', '.join(schema) or 'none'}; name at least one, and none {ROW!r}")
    for name, kind in schema.items():
        if kind != _MEANT.get(name, kind):
            raise BadArgument(f"column {name} has the type {kind!r}; `tamiz sample` needs {_MEANT[name]}")
        try:
            fields.append(pa.field(name, _type_named(kind)))
        except ValueError:
            message = f"column {name} has the type {kind!r}; it must be a type name of pyarrow, such as int32"
            raise BadArgument(message) from None
    return pa.schema(fields)


class AnnotationColumns:
    """Memory: the columns of the rows so far, as Arrow holds them (perplexity's: some 20 bytes a row)."""

    def __init__(self, schema: Mapping[str, str]) -> None:
        self._schema = arrow_schema(schema)
        self._names = tuple(schema)
        self._batches: list[pa.RecordBatch] = []

    def add(self, rows: np.ndarray, columns: Mapping[str, Any], null: np.ndarray | None = None) -> None:
        """n documents: rows int32[n]; n values per column; null bool[n]: documents whose columns are null, whatever
        was given. Raises ValueError for columns that differ from the schema, or values that don't fit."""
        if set(columns) != set(self._names):
            raise ValueError(
                f"the annotator returned the columns {', '.join(columns)}; its schema says {', '.join(self._names)}"
            )
        arrays: list[Any] = [pa.array(np.asarray(rows, np.int32))]
        for name in self._names:
            arrays.append(_array(columns[name], self._schema.field(name), len(rows), null))
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def add_null(self, rows: list[int]) -> None:
        """Rows without annotation."""
        if rows:
            nulls = [pa.nulls(len(rows), self._schema.field(name).type) for name in self._names]
            arrays = [pa.array(np.array(rows, np.int32)), *nulls]
            self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def counts(self, name: str) -> dict[str, int]:
        """The number of rows for each value of one column, without nulls."""
        found: dict[str, int] = {}
        for batch in self._batches:
            counted: Any = pc.value_counts(batch.column(name))
            for pair in counted.to_pylist():
                if pair["values"] is not None:
                    value = str(pair["values"])
                    found[value] = found.get(value, 0) + pair["counts"]
        return found

    def write(self, path: Path | str) -> FileRecord:
        """Writes the rows in input order, however they were added. path: an address, too."""
        table = pa.Table.from_batches(self._batches, schema=self._schema).combine_chunks()
        rows = table.column(ROW).to_numpy()
        if (np.diff(rows) < 0).any():
            table = table.take(np.argsort(rows, kind="stable"))
        with writing(path) as file:
            pq.write_table(table, file.path, compression="zstd")
        return file.record(len(rows))


def _array(values: Any, field: pa.Field[Any], length: int, null: np.ndarray | None) -> pa.Array[Any]:
    """An Arrow array of the field's type. Raises ValueError, naming the column."""
    try:
        if isinstance(values, pa.Array | pa.ChunkedArray):
            array = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(field.type)
        else:
            array = pa.array(values, field.type, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ValueError(f"column {field.name} must be {field.type}: {str(error).splitlines()[0]}") from None
    if len(array) != length:
        raise ValueError(f"column {field.name} has {len(array)} values for {length} documents")
    return array if null is None or not null.any() else pc.if_else(pa.array(null), pa.scalar(None, field.type), array)
