"""The shard format: Parquet, one fixed-size list of ids a column, in row groups of constant size.

Parquet has no 16-bit type and PLAIN stores four bytes an id: without a dictionary, BYTE_STREAM_SPLIT puts the bytes
that are always zero side by side, and zstd removes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.files import atomic_path
from corpora.tokens.causal import Ragged

SCALAR = 0
Column = npt.NDArray[Any] | Ragged
# Width of a fixed-size list, None for a list of any length, SCALAR for no list; and the dtype of the values.
ColumnSpec = tuple[int | None, npt.DTypeLike]


class ShardWriter:
    """Writes one shard. A context manager; the file appears at the end, whole, and only if it has a row.

    `columns` maps names to specs, like {"input_ids": (512, np.uint16), "labels": (114, np.uint16)}. Every call of
    `write` makes a row group.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, ColumnSpec]) -> None:
        self.path = Path(path)
        self.rows = 0
        self._columns = dict(columns)
        self._open = contextlib.ExitStack()
        self._parquet: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def write(self, columns: Mapping[str, Column]) -> None:
        """One row group: arrays [n, width], arrays [n], or `Ragged`, for each column."""
        import pyarrow as pa

        schema = _schema(self._columns)
        arrays = [_array(columns[field.name], field.type) for field in schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if batch.num_rows:
            self._writer(schema).write_batch(batch, row_group_size=batch.num_rows)
            self.rows += batch.num_rows

    def _writer(self, schema: Any) -> Any:
        if self._parquet is None:
            import pyarrow.parquet as pq

            temporary = self._open.enter_context(atomic_path(self.path))
            encodings = {_path(field): "BYTE_STREAM_SPLIT" for field in schema}
            writer = pq.ParquetWriter(
                str(temporary),
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                column_encoding=encodings,
                write_statistics=False,
            )
            self._parquet = self._open.enter_context(writer)
        return self._parquet


def _schema(columns: Mapping[str, ColumnSpec]) -> Any:
    import pyarrow as pa

    fields = []
    for name, (width, dtype) in columns.items():
        item = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
        kind = item.type if width == SCALAR else pa.list_(item) if width is None else pa.list_(item, width)
        fields.append(pa.field(name, kind, nullable=False))
    return pa.schema(fields)


def _path(field: Any) -> str:
    """A column's name in Parquet."""
    import pyarrow as pa

    return f"{field.name}.list.element" if pa.types.is_nested(field.type) else str(field.name)


def _array(column: Column, kind: Any) -> Any:
    import pyarrow as pa

    nested: bool = pa.types.is_nested(kind)
    if not nested:
        return pa.array(column, kind)
    if isinstance(column, Ragged):
        offsets: Any = pa.array(column.offsets)
        return pa.ListArray.from_arrays(offsets, pa.array(column.values), type=kind)
    flat = pa.array(np.ascontiguousarray(column).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def read_rows(path: str | Path) -> dict[str, Any]:
    """All rows: an array [n, width] for each fixed-size list, [n] for numbers, a `Ragged` for other lists.

    Raises:
        DamagedFile: not a whole Parquet file.
    """
    import pyarrow.parquet as pq

    with _reading(path):
        table = pq.read_table(path, use_threads=False)
        return _columns(table)


def read_groups(path: str | Path) -> Iterator[dict[str, Any]]:
    """As `read_rows`, one row group at a time."""
    import pyarrow.parquet as pq

    with _reading(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield _columns(file.read_row_group(group, use_threads=False))


@contextlib.contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: among others, a name that isn't UTF-8
        raise DamagedFile(f"{path} can't be read as a shard: {error}") from error


def _columns(table: Any) -> dict[str, Any]:
    return {name: _column(name, table.column(name).combine_chunks()) for name in table.column_names}


def _column(name: str, array: Any) -> Column:
    import pyarrow as pa

    lists = pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type)
    values = array.flatten() if lists else array
    if not pa.types.is_integer(values.type) or array.null_count or values.null_count:
        raise ValueError(f"column {name} holds {array.type}, not whole numbers or lists of them")
    if pa.types.is_fixed_size_list(array.type):
        rows: npt.NDArray[Any] = values.to_numpy().reshape(-1, array.type.list_size)
        return rows
    if not pa.types.is_nested(array.type):
        numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
        return numbers
    return Ragged(array.offsets.to_numpy(), array.values.to_numpy())
