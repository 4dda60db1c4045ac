"""Counts of words on disk: a Parquet file per work item, its words parted by their hash; and the sum over all files.

A word is in the same part of every file, so the sum holds one part at a time: a 64th of the corpus's distinct words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from corpora.files import atomic_path
from corpora.words.table import HashedWords, Words, WordTable

PARTS = 64
_PART_SHIFT = np.uint64(64 - 6)  # the highest bits: the lowest choose a table's cell


class CountsFile:
    """Writes words and counts; the file appears, whole, when the block ends. Each `write` adds PARTS row groups."""

    def __init__(self, path: Path) -> None:
        self._atomic = atomic_path(path)
        self._writer: Any = None

    def __enter__(self) -> Self:
        import pyarrow.parquet as pq

        schema = _schema()
        self._writer = pq.ParquetWriter(self._atomic.__enter__(), schema, compression="zstd", use_dictionary=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._atomic.__exit__(kind, error, trace)

    def write(self, table: WordTable) -> None:
        import pyarrow as pa

        words, hashes = table.words()
        part = hashes >> _PART_SHIFT
        order = np.argsort(part, kind="stable")
        columns = [_binary(words).take(pa.array(order)), pa.array(words.counts[order])]
        every = pa.Table.from_arrays(columns, schema=_schema())
        borders = np.searchsorted(part[order], np.arange(PARTS + 1))
        for start, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            self._writer.write_table(every.slice(start, stop - start), row_group_size=max(1, stop - start))


def _schema() -> Any:
    import pyarrow as pa

    fields: list[pa.Field[Any]] = [
        pa.field("word", pa.binary(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
    ]
    return pa.schema(fields)


def _binary(words: Words) -> Any:
    import pyarrow as pa

    offsets, data = words.offsets.astype(np.int32).tobytes(), words.data.tobytes()
    return pa.BinaryArray.from_buffers(pa.binary(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def summed(paths: Sequence[Path]) -> Iterator[HashedWords]:
    """The words of all files with their sums, part by part: together each word once, whatever the order of files.

    Within a part the order does depend on that of the files.
    """
    for part in range(PARTS):
        table = WordTable(keep_spaces=False)
        for path in paths:
            for words in _read(path, part):
                table.add(words)
        yield table.words()


def _read(path: Path, part: int) -> Iterator[Words]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(part, file.num_row_groups, PARTS):
            yield _words(file.read_row_group(group))


def _words(table: Any) -> Words:
    column = table.column("word").combine_chunks()
    if table.num_rows == 0:
        return Words(np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty(0, np.int64))
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return Words(np.frombuffer(data, np.uint8), ends, table.column("count").to_numpy())
