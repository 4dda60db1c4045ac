"""Joins finished files of documents into fewer ones: the same rows in the same order, as one writer writes them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from corpora import home
from corpora.config import Config
from corpora.documents import writing
from corpora.documents.carried import CarriedColumn
from corpora.documents.parquet_groups import GroupWriter
from corpora.errors import TamizError
from corpora.home import exists
from corpora.stopping import go_on
from corpora.stores.base import FileRecord

if TYPE_CHECKING:
    import pyarrow as pa


class JoinedPart(Config, frozen=True, kw_only=True):
    """A unit of work: consecutive items whose files become one. Small, hashable, picklable, like a WorkItem."""

    number: int
    """0-based, of the part."""
    first: int
    """Number of its first item."""
    stop: int
    """Number of the item after its last."""
    bytes: int
    """Size of the items' files."""

    @property
    def items(self) -> range:
        return range(self.first, self.stop)

    @property
    def name(self) -> str:
        return part_name(self.number)

    @property
    def path(self) -> str:
        """Its name in messages."""
        return f"part {self.number} of the sample"


def part_name(number: int) -> str:
    """Of a file of a sample, without its ending."""
    return f"part-{number:05d}"


def joined_parts(sizes: Sequence[int], sources: Sequence[Hashable], part_bytes: int) -> list[JoinedPart]:
    """Groups of consecutive items, each of one source and of at most part_bytes, or of one item with more.

    sizes: bytes of each item's file, in the order of items; sources: what may not share a part with another.
    """
    parts: list[JoinedPart] = []
    first = total = 0
    for item, size in enumerate(sizes):
        if item > first and (total + size > part_bytes or sources[item] != sources[first]):
            parts.append(JoinedPart(number=len(parts), first=first, stop=item, bytes=total))
            first, total = item, 0
        total += size
    if sizes:
        parts.append(JoinedPart(number=len(parts), first=first, stop=len(sizes), bytes=total))
    return parts


def join_documents(
    files: Sequence[Path | str],
    path: Path | str,
    format: str,
    columns: Mapping[str, str] | None = None,
    carried: Sequence[CarriedColumn] = (),
) -> FileRecord:
    """Writes the rows of `files`, which a DocumentWriter wrote with the same arguments, to `path`.

    `path` has the bytes that one DocumentWriter gives for all rows. Memory: one group of rows. Raises TamizError if a
    file is missing or damaged, or `path` can't be written.
    """
    missing = [file for file in files if not exists(file)]
    if missing:
        raise TamizError(f"{missing[0]} is missing: every worker must have access to its folder")
    with home.writing(path) as written, written.path.open("wb") as out:
        if format in writing.LINES:
            rows = _join_lines(files, writing.LINES[format](out), format.rpartition(".")[2])
        else:
            rows = _join_tables(files, out, {**writing.TYPES, **(columns or {})}, carried)
    return written.record(rows)


def _join_tables(
    files: Iterable[Path | str], out: IO[bytes], columns: Mapping[str, str], carried: Sequence[CarriedColumn]
) -> int:
    schema, rows = writing.parquet_schema(columns, carried), 0
    with GroupWriter(out, schema, writing.dictionaries(columns, carried)) as writer:
        for group in _groups(_tables(files)):
            writer.write(group.cast(schema))
            rows += group.num_rows
    return rows


def _join_lines(files: Iterable[Path | str], stream: Any, compression: str) -> int:
    from corpora.documents.compressions import COMPRESSIONS
    from corpora.documents.source import Damage, Source

    rows = 0
    with stream:
        for path in files:
            with home.opened(path) as file:
                try:
                    for piece in COMPRESSIONS[compression](Source(file, str(path))):
                        go_on()
                        stream.write(piece)
                        rows += piece.count(b"\n")
                except Damage as damage:
                    raise _damaged(path, damage) from damage
    return rows


def _tables(files: Iterable[Path | str]) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in files:
        try:
            with pq.ParquetFile(home.source(path), page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    go_on()
                    yield file.read_row_group(group)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from error


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Row groups with the borders that a DocumentWriter gives them."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    rows = characters = 0
    for table in tables:
        lengths = _characters(table)
        begin = 0
        while begin < table.num_rows:
            full = int(np.searchsorted(np.cumsum(lengths[begin:]), writing.GROUP_CHARACTERS - characters)) + 1
            taken = min(full, writing.GROUP_ROWS - rows, table.num_rows - begin)
            waiting.append(table.slice(begin, taken))
            rows, characters = rows + taken, characters + int(lengths[begin : begin + taken].sum())
            begin += taken
            if rows >= writing.GROUP_ROWS or characters >= writing.GROUP_CHARACTERS:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, rows, characters = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _characters(table: pa.Table) -> np.typing.NDArray[np.int64]:
    """int64[n]: the characters of each text."""
    import pyarrow.compute as pc

    lengths: Any = pc.utf8_length(table.column("text"))
    counted: np.typing.NDArray[np.int64] = lengths.to_numpy().astype(np.int64)
    return counted


def _damaged(path: Path | str, error: Exception) -> TamizError:
    return TamizError(f"{path} can't be read ({str(error).splitlines()[0]}): run the command again to make it anew")
