"""Word counts on disk: a file per work item, partitioned by the words' hash; and the sum of each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from corpora.home import Home, source, writing
from corpora.parted import PARTS, PartedWriter, read_part
from corpora.stores.base import FileRecord, Writing
from corpora.words.table import HashedWords, Words, WordTable

__all__ = ["PARTS", "CountsFile", "read_sums", "sum_part", "summed", "write_sums"]


class CountsFile:
    """Writes words and counts; the complete file appears when the block ends. Each `write` adds every part once."""

    def __init__(self, path: Path | str) -> None:
        self._writer = PartedWriter(path, _schema())

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def record(self, of: Home) -> FileRecord:
        """Of the file, once the block has ended. of: a folder above it."""
        return self._writer.record(of)

    def write(self, table: WordTable) -> None:
        import pyarrow as pa

        words, hashes = table.words()
        self._writer.write([_binary(words), pa.array(words.counts)], hashes)


def _schema(*more: tuple[str, Any]) -> Any:
    import pyarrow as pa

    fields: list[pa.Field[Any]] = [
        pa.field("word", pa.binary(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        *(pa.field(name, kind, nullable=False) for name, kind in more),
    ]
    return pa.schema(fields)


def _binary(words: Words) -> Any:
    import pyarrow as pa

    offsets, data = words.offsets.astype(np.int32).tobytes(), words.data.tobytes()
    return pa.BinaryArray.from_buffers(pa.binary(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def summed(paths: Sequence[Path | str]) -> Iterator[HashedWords]:
    """The words of all files with their sums, part by part: each word is in one part only."""
    return (sum_part(paths, part) for part in range(PARTS))


def sum_part(paths: Sequence[Path | str], part: int) -> HashedWords:
    """The words of one part of all files, each once, with its sum. Only their order depends on the files' order."""
    table = WordTable(keep_spaces=False)
    for path in paths:
        for rows in read_part(path, part):
            table.add(_words(rows))
    return table.words()


def write_sums(path: Path | str, sums: Iterable[HashedWords]) -> Writing:
    """Writes sums of parts, with the words' hashes, so that readers need no table. Only one sum is in memory.

    Returns what describes the file. path: an address, too.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(("hash", pa.uint64()))
    with (
        writing(path) as file,
        pq.ParquetWriter(file.path, schema, compression="zstd", use_dictionary=False) as writer,
    ):
        for words, hashes in sums:
            columns = [_binary(words), pa.array(words.counts), pa.array(hashes)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=max(1, len(words)))
    return file


def read_sums(path: Path | str) -> Iterator[HashedWords]:
    """Reads back what `write_sums` wrote, part by part."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source(path)) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            yield HashedWords(_words(rows), rows.column("hash").to_numpy())


def _words(table: Any) -> Words:
    column = table.column("word").combine_chunks()
    if table.num_rows == 0:
        return Words(np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty(0, np.int64))
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    letters = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    return Words(letters, ends - ends[0], table.column("count").to_numpy())
