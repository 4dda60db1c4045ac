"""Shards written by Arrow: what `ShardWriter` writes must be read as the same file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.tokens.causal import Ragged
from corpora.tokens.shards import SCALAR, Column, ColumnSpec


def write(path: Path, columns: Mapping[str, ColumnSpec], groups: Iterable[Mapping[str, Column]]) -> None:
    schema = _schema(columns)
    nested = {field.name: pa.types.is_nested(field.type) for field in schema}
    with pq.ParquetWriter(
        str(path),
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding={f"{n}.list.element" if lists else n: "BYTE_STREAM_SPLIT" for n, lists in nested.items()},
        write_statistics=False,
    ) as writer:
        for group in groups:
            arrays = [_array(group[field.name], field.type) for field in schema]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            writer.write_batch(batch, row_group_size=batch.num_rows)


def _schema(columns: Mapping[str, ColumnSpec]) -> Any:
    fields = []
    for name, (width, dtype) in columns.items():
        item = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
        kind = item.type if width == SCALAR else pa.list_(item) if width is None else pa.list_(item, width)
        fields.append(pa.field(name, kind, nullable=False))
    return pa.schema(fields)


def _array(column: Column, kind: Any) -> Any:
    if not pa.types.is_nested(kind):
        return pa.array(column, kind)
    if isinstance(column, Ragged):
        return pa.ListArray.from_arrays(pa.array(column.offsets), pa.array(column.values), type=kind)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(column).reshape(-1)), type=kind)
