"""Kept documents -> parquet, .jsonl.zst or .jsonl.gz: text, timestamp, url, perplexity, keep_probability, and more.

Equal rows give equal bytes, however many calls write them: rows are encoded in groups, and the group borders depend
only on the rows.
"""

from __future__ import annotations

import contextlib
import gzip
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

import msgspec
import numpy as np
import zstandard
from numpy.typing import ArrayLike, NDArray

from corpora.documents.carried import PREFIX, REST, Carried, CarriedColumn, missing
from corpora.documents.parquet_groups import NUMBERS, GroupWriter
from corpora.errors import BadArgument
from corpora.home import Home, writing
from corpora.stores.base import FileRecord, Writing

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("text", "timestamp", "url", *NUMBERS)
TYPES = {name: "float64" if name in NUMBERS else "string" for name in COLUMNS}
# a row group has 20 to 100 MB of text, unless documents have less than 400 characters: what the Hub's viewer likes to
# read, and what a reader must hold
GROUP_ROWS = 50_000
GROUP_CHARACTERS = 32 << 20  # of text: up to 96 MiB in scripts with three bytes a character
_ZSTD_LEVEL = 3

Row = tuple[Any, ...]  # text, timestamp, url: str | None, perplexity, keep_probability: float, then the columns


class _Sink(Protocol):
    def carry(self, carried: Carried | None, places: NDArray[np.int64]) -> None:
        """Keeps the carried columns of rows that `write` will write, in order."""

    def write(self, rows: list[Row]) -> None: ...

    def close(self) -> None: ...


class DocumentWriter:
    """Appends documents to one file. The complete file appears when the block ends without an exception.

    path: an address, too.
    format: parquet | jsonl.zst | jsonl.gz. columns: name -> type (pyarrow's name: bool, int32, float64, string)
    of the columns after the usual ones; carried: the columns after these. Raises TamizError if the file can't be
    written.
    """

    def __init__(
        self,
        path: str | Path,
        format: str = "parquet",
        columns: Mapping[str, str] | None = None,
        carried: Sequence[CarriedColumn] = (),
    ) -> None:
        if format not in FORMATS:
            raise BadArgument(f"documents can't be written as {format}; formats are {', '.join(FORMATS)}")
        self.path = path
        self.rows = 0
        self._format = format
        self._columns, self._carried = {**TYPES, **(columns or {})}, carried
        self._open = contextlib.ExitStack()
        self._sink: _Sink
        self._writing: Writing
        self._pending: list[Row] = []
        self._characters = 0

    def write(
        self,
        texts: Sequence[str],
        timestamps: Sequence[str | None],
        urls: Sequence[str | None],
        perplexity: ArrayLike,
        keep_probability: ArrayLike,
        *columns: Sequence[Any],
        carried: Carried | None = None,
        places: ArrayLike = (),
    ) -> None:
        """n documents; perplexity and keep_probability are float64[n]; columns: n Python values each (null: None);
        carried: holds what the documents carry, at `places` int64[n]; None: null in each carried column."""
        if self._carried:
            where = np.arange(len(texts)) if carried is None else np.asarray(places, np.int64)
            self._sink.carry(carried, where)
        numbers = (np.asarray(values, np.float64).tolist() for values in (perplexity, keep_probability))
        for row in zip(texts, timestamps, urls, *numbers, *columns, strict=True):
            self._pending.append(row)
            self._characters += len(row[0])
            if len(self._pending) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
                self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._sink.write(self._pending)
        self.rows += len(self._pending)
        self._pending, self._characters = [], 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._writing = stack.enter_context(writing(self.path))
            file = stack.enter_context(self._writing.path.open("wb"))
            self._sink = FORMATS[self._format](file, self._columns, self._carried)
            stack.callback(self._sink.close)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._flush()

    def record(self, of: Home) -> FileRecord:
        """Of the file, once the block has ended. of: a folder above it."""
        return self._writing.record(self.rows, of=of)


class _ParquetSink:
    """One row group per call."""

    def __init__(self, file: IO[bytes], columns: Mapping[str, str], carried: Sequence[CarriedColumn]) -> None:
        self._schema, self._all = _own_schema(columns), parquet_schema(columns, carried)
        self._carried, self._pending = carried, [missing(carried, 0)]
        self._writer = GroupWriter(file, self._all, dictionaries(columns, carried))

    def write(self, rows: list[Row]) -> None:
        import pyarrow as pa

        columns = [
            pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), self._schema.types, strict=True)
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema)
        for column in self._taken(len(rows)).itercolumns() if self._carried else ():
            table = table.append_column(self._all.field(table.num_columns), column)
        self._writer.write(table)

    def carry(self, carried: Carried | None, places: NDArray[np.int64]) -> None:
        self._pending.append(missing(self._carried, len(places)) if carried is None else carried.table(places))

    def _taken(self, rows: int) -> pa.Table:
        """The carried columns of the first rows that wait."""
        import pyarrow as pa

        table = pa.concat_tables(self._pending)
        self._pending = [table.slice(rows)]
        return table.slice(0, rows)

    def close(self) -> None:
        self._writer.close()


def dictionaries(columns: Mapping[str, str], carried: Sequence[CarriedColumn]) -> list[str]:
    """The columns whose values may repeat: texts and addresses rarely do. Arguments as of `parquet_schema`."""
    import pyarrow as pa

    strings = [name for name, kind in columns.items() if kind == "string" and name not in COLUMNS]
    strings += [column.name for column in carried if column.field != REST and not pa.types.is_nested(column.type)]
    return ["timestamp", *strings]


def parquet_schema(columns: Mapping[str, str], carried: Sequence[CarriedColumn]) -> pa.Schema:
    """columns: name -> type of the columns before the carried ones."""
    import pyarrow as pa

    return pa.unify_schemas([_own_schema(columns), missing(carried, 0).schema])


def _own_schema(columns: Mapping[str, str]) -> pa.Schema:
    import pyarrow as pa

    type_named: Any = pa.type_for_alias  # the stubs type it for literals only
    return pa.schema([(name, type_named(kind)) for name, kind in columns.items()])


class _LinesSink:
    """One JSON object a line, compressed."""

    def __init__(self, stream: Any, columns: Mapping[str, str], carried: Sequence[CarriedColumn]) -> None:
        self._stream = stream
        self._names = tuple(columns)
        self._nothing = dict.fromkeys(column.name for column in carried if column.field != REST)
        self._pending: deque[dict[str, Any]] = deque()

    def write(self, rows: list[Row]) -> None:
        lines = [msgspec.json.encode(self._object(row)) for row in rows]
        self._stream.write(b"\n".join(lines) + b"\n")

    def carry(self, carried: Carried | None, places: NDArray[np.int64]) -> None:
        self._pending += [{}] * len(places) if carried is None else carried.objects(places)

    def _object(self, row: Row) -> dict[str, Any]:
        """Every row has every key, null too. A field with the name of another key gets a prefix."""
        found = dict(zip(self._names, row, strict=True)) | self._nothing
        for name, value in (self._pending.popleft() if self._pending else {}).items():
            key = name
            while key in found and key not in self._nothing:
                key = f"{PREFIX}{key}"
            found[key] = value
        return found

    def close(self) -> None:
        self._stream.close()


def _zstd(file: IO[bytes]) -> Any:
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    return compressor.stream_writer(file, closefd=False)


def _gzip(file: IO[bytes]) -> Any:
    # no name and no time in the header; the standard library, because ISA-L's output depends on the processor
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0)


LINES: dict[str, Callable[[IO[bytes]], Any]] = {"jsonl.zst": _zstd, "jsonl.gz": _gzip}
"""Format -> the stream that compresses its lines into a file."""


def _lines_sink(stream_of: Callable[[IO[bytes]], Any]) -> Callable[..., _Sink]:
    return lambda file, columns, carried: _LinesSink(stream_of(file), columns, carried)


FORMATS: dict[str, Callable[[IO[bytes], Mapping[str, str], Sequence[CarriedColumn]], _Sink]] = {
    "parquet": _ParquetSink,
    **{name: _lines_sink(stream_of) for name, stream_of in LINES.items()},
}
