"""Writes Parquet files of documents by row group: the options of the format, and errors that can be caught."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pyarrow as pa

_ZSTD_LEVEL = 3
NUMBERS = ("perplexity", "keep_probability")


class GroupWriter:
    """A context manager. Page checksums, so that damage is detected; a page index, without which the Hub's viewer
    reads whole row groups; pages whose borders depend on the content, so that the Hub stores equal texts of two files
    once.

    Memory: one compressed row group, because pyarrow ends the process if a file can't take such a page.
    """

    def __init__(self, file: IO[bytes], schema: pa.Schema, dictionaries: Sequence[str]) -> None:
        import pyarrow.parquet as pq

        self._file, self._held = file, _Held()
        self._writer = pq.ParquetWriter(
            self._held,  # type: ignore[arg-type]  # it has what pyarrow calls
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=list(dictionaries),  # type: ignore[arg-type]
            write_statistics=list(NUMBERS),  # the smallest and largest text are of no use
            write_page_checksum=True,
            write_page_index=True,
            use_content_defined_chunking=True,
        )

    def write(self, table: pa.Table) -> None:
        """One row group. Raises OSError if the file can't be written."""
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._held.pass_on(self._file)

    def close(self) -> None:
        """Writes the end of the file, unless the file has failed."""
        self._writer.close()
        self._held.pass_on(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Held:
    """A file that never fails: it holds what is written until it is passed on."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self._failed = False

    def write(self, piece: Any) -> int:
        held = bytes(piece)
        self._pieces.append(held)
        self._length += len(held)
        return len(held)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None:
        """Pieces are passed on by `pass_on` alone."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def pass_on(self, file: IO[bytes]) -> None:
        """After a file has failed, nothing more is written to it."""
        pieces, self._pieces = self._pieces, []
        if self._failed:
            return
        try:
            for piece in pieces:
                file.write(piece)
        except OSError:
            self._failed = True
            raise
