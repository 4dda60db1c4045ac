"""Keyed rows on disk, partitioned by the hash of the key: one small Parquet file per work item, read part by part.

A key is in the same part of every file, so any operation on equal keys (summing counts, finding duplicates) can work
part by part, on any worker, with 1/64 of the keys in memory and no shuffle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from corpora.config import Config
from corpora.home import Home, source, writing
from corpora.stores.base import FileRecord, Writing

PARTS = 64
_PART_SHIFT = np.uint64(64 - 6)  # the highest bits: hash tables choose cells by the lowest bits


class Part(Config, frozen=True, kw_only=True):
    """A unit of work: some of the parts of every file. Small, hashable, picklable, like a WorkItem."""

    number: int
    """0-based, below `of`."""
    of: int = PARTS
    """The number of units, a power of two up to PARTS; with fewer units, each has more parts."""

    @property
    def hashed(self) -> range:
        """The parts of the files in this unit, see `read_part`."""
        size = PARTS // self.of
        return range(self.number * size, (self.number + 1) * size)

    @property
    def name(self) -> str:
        return f"part-{self.number:02d}-of-{self.of:02d}"

    @property
    def path(self) -> str:
        """Its name in messages."""
        return f"part {self.number} of {self.of}"


def parts(files: int = PARTS) -> list[Part]:
    """All parts, in about as many units as there are files: a small corpus doesn't need 64."""
    of = min(PARTS, 1 << max(files - 1, 0).bit_length())
    return [Part(number=number, of=of) for number in range(of)]


class PartedWriter:
    """Writes rows with any columns; the complete file appears when the block ends. Each `write` adds PARTS groups.

    path: an address, too. schema: a pyarrow.Schema. Raises TamizError if the file can't be written.
    """

    def __init__(self, path: Path | str, schema: Any) -> None:
        self._file = writing(path)
        self._schema = schema
        self._written: Writing
        self._writer: Any = None

    def __enter__(self) -> Self:
        import pyarrow.parquet as pq

        self._written = self._file.__enter__()
        self._writer = pq.ParquetWriter(self._written.path, self._schema, compression="zstd", use_dictionary=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._file.__exit__(kind, error, trace)

    def record(self, of: Home) -> FileRecord:
        """Of the file, once the block has ended. of: a folder above it."""
        return self._written.record(of=of)

    def write(self, columns: list[Any], hashes: NDArray[np.uint64]) -> None:
        """columns: pyarrow arrays of n rows, in the schema's order; hashes: uint64[n], of each row's key."""
        import pyarrow as pa

        part = hashes >> _PART_SHIFT
        order = np.argsort(part, kind="stable")
        rows = pa.Table.from_arrays([column.take(pa.array(order)) for column in columns], schema=self._schema)
        borders = np.searchsorted(part[order], np.arange(PARTS + 1))
        for start, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            self._writer.write_table(rows.slice(start, stop - start), row_group_size=max(1, stop - start))


def read_part(path: Path | str, part: int) -> Iterator[Any]:
    """The rows of one part of a file (0 to PARTS - 1): a pyarrow.Table for each `write`, in their order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source(path)) as file:
        for group in range(part, file.num_row_groups, PARTS):
            yield file.read_row_group(group)
