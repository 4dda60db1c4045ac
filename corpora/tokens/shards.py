"""The shard format: Parquet, one fixed-size list of ids per column, in row groups of constant size.

Parquet has no 16-bit type, and PLAIN stores four bytes per id. Instead, without a dictionary, BYTE_STREAM_SPLIT puts
the bytes that are always zero side by side, and zstd removes them.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.home import Home, source, writing
from corpora.stores.base import FileRecord, Writing
from corpora.tokens.causal import Ragged

if TYPE_CHECKING:
    from corpora.tokens.parquet_file import ParquetFile

SCALAR = 0
Column = npt.NDArray[Any] | Ragged
# Width of a fixed-size list, None for a list of any length, or SCALAR for no list; and the dtype of the values.
ColumnSpec = tuple[int | None, npt.DTypeLike]


class ShardWriter:
    """Writes one shard. A context manager; the complete file appears at the end, and only if it has a row.

    `columns` maps names to specs, such as {"input_ids": (512, np.uint16), "labels": (114, np.uint16)}. Every call of
    `write` makes a row group.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, ColumnSpec]) -> None:
        """path: an address, too."""
        self.path = path
        self.rows = 0
        self._writing: Writing | None = None
        self._columns = dict(columns)
        self._open = contextlib.ExitStack()
        self._parquet: ParquetFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def write(self, columns: Mapping[str, Column]) -> None:
        """One row group: arrays [n, width], arrays [n], or `Ragged`, for each column.

        Raises ValueError for a column with a different dtype, width or number of rows.
        """
        from corpora.tokens.parquet_pages import num_rows

        chosen = {name: _checked(name, columns[name], spec) for name, spec in self._columns.items()}
        counts = {name: num_rows(column) for name, column in chosen.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"columns have different numbers of rows: {counts}")
        count = next(iter(counts.values()))
        if count:
            self._file().write(chosen)
            self.rows += count

    def records(self, of: Home) -> list[FileRecord]:
        """The file, if it has a row, once the block has ended. of: a folder above it."""
        return [self._writing.record(self.rows, of=of)] if self._writing else []

    def _file(self) -> ParquetFile:
        if self._parquet is None:
            from corpora.tokens.parquet_file import Leaf, parquet_file

            leaves = [Leaf(name, np.dtype(dtype), width != SCALAR) for name, (width, dtype) in self._columns.items()]
            self._writing = self._open.enter_context(writing(self.path))
            opened = parquet_file(self._writing.path, leaves, {"ARROW:schema": _arrow_schema(self._columns)})
            self._parquet = self._open.enter_context(opened)
        return self._parquet


def _checked(name: str, column: Column, spec: ColumnSpec) -> Column:
    width, dtype = spec
    values = column.values if isinstance(column, Ragged) else column
    shape = None if isinstance(column, Ragged) else SCALAR if column.ndim == 1 else column.shape[1]
    if values.dtype != dtype or shape != width:
        raise ValueError(f"column {name} holds {values.dtype} of width {shape}, not {np.dtype(dtype)} of {width}")
    return column


def _arrow_schema(columns: Mapping[str, ColumnSpec]) -> str:
    """Arrow's schema, kept beside Parquet's, which has no fixed-size lists."""
    import pyarrow as pa

    fields = []
    for name, (width, dtype) in columns.items():
        item = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
        kind = item.type if width == SCALAR else pa.list_(item) if width is None else pa.list_(item, width)
        fields.append(pa.field(name, kind, nullable=False))
    return base64.b64encode(pa.schema(fields).serialize().to_pybytes()).decode()


def read_rows(path: str | Path) -> dict[str, Any]:
    """All rows: an array [n, width] for each fixed-size list, [n] for numbers, a `Ragged` for other lists.

    Raises:
        DamagedFile: not a complete Parquet file.
    """
    import pyarrow.parquet as pq

    with _reading(path):
        table = pq.read_table(source(path), use_threads=False)
        return _columns(table)


def read_groups(path: str | Path) -> Iterator[dict[str, Any]]:
    """As `read_rows`, one row group at a time."""
    import pyarrow.parquet as pq

    with _reading(path), pq.ParquetFile(source(path)) as file:
        for group in range(file.num_row_groups):
            yield _columns(file.read_row_group(group, use_threads=False))


@contextlib.contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: for example, a name that isn't UTF-8
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
