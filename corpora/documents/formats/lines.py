"""Formats whose rows are lines: how they are split into ranges, and how blocks of lines become batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, TypeVar

from corpora.documents.batches import BatchBuilder, DocumentBatch, Outcome, RejectedRow, TextBatch, batch
from corpora.documents.borders import border_of
from corpora.documents.compressions import CUTS
from corpora.documents.formats.base import Format
from corpora.documents.item import WorkItem
from corpora.documents.splitting import Range, ranges_in
from corpora.documents.streams import LongLine, blocks_of_lines, pieces

BOM = b"\xef\xbb\xbf"

Batch = TypeVar("Batch", DocumentBatch, TextBatch, covariant=True)


class Parse(Protocol[Batch]):
    """Blocks of lines -> batches."""

    def __call__(self, block: bytes, first_row: int, /) -> Batch:
        """`block` holds whole lines; the last may lack its newline."""

    def rejected(self, row: RejectedRow, length: int) -> Batch:
        """The batch of one rejected row, a line of `length` bytes."""


class LineParser(ABC):
    """Blocks of lines -> DocumentBatch. A subclass decides what a line becomes, and may parse a block at once."""

    def __init__(self, file: str, columns: tuple[str, ...]) -> None:
        self.file = file
        self.columns = columns

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        """`block` holds whole lines; the last may lack its newline. A byte order mark at the start of any line is
        dropped: files may have been joined."""
        unmarked = block.removeprefix(BOM)
        whole = self.whole(unmarked, first_row)
        if whole is not None:
            return whole
        builder = BatchBuilder(self.file, self.columns)
        lines = block.split(b"\n")
        if not lines[-1].removeprefix(BOM):
            lines.pop()
        for row, line in enumerate(lines, first_row):
            builder.add(row, self.outcome(line.removeprefix(BOM)), line)
        return builder.build(len(unmarked))

    def rejected(self, row: RejectedRow, length: int) -> DocumentBatch:
        return batch([], [[] for _ in range(3 + len(self.columns))], self.columns, [row], length)

    def whole(self, block: bytes, first_row: int) -> DocumentBatch | None:  # noqa: ARG002
        """The whole block at once, for speed; None if any line is unusual, such as one that starts with a byte order
        mark. Gives the same outcomes as `outcome`."""
        return None

    @abstractmethod
    def outcome(self, line: bytes) -> Outcome:
        """The document of one line, or the reason why it isn't one. `line` lacks its newline."""


class LineFormat(Format):
    """A format whose rows are lines. A subclass gives the parser."""

    @abstractmethod
    def parser(self, item: WorkItem, columns: tuple[str, ...]) -> LineParser: ...

    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        return read_lines(item, batch_bytes, self.parser(item, columns))

    def split(self, item: WorkItem, item_bytes: int) -> list[Range]:
        """Ranges that end after lines, or after blank lines if these separate documents; of a compressed file, at
        frames where they can be found. Files of the Hub stay whole: they are checked as a whole."""
        cuts = not item.compression or item.compression in CUTS
        if item.size is None or item.size <= item_bytes or item.commit or not cuts:
            return super().split(item, item_bytes)
        return ranges_in(item, item.size, item_bytes, border_of(item.blank_lines))


def blocks(item: WorkItem, batch_bytes: int) -> Iterator[bytes | LongLine]:
    """Whole lines, about batch_bytes at a time, and what stands for lines that are too long."""
    return blocks_of_lines(pieces(item), batch_bytes, item.max_document_bytes)


def read_lines(item: WorkItem, batch_bytes: int, parse: Parse[Batch]) -> Iterator[Batch]:
    """A batch for each block of lines, and for each line that is too long."""
    row = item.first
    for block in blocks(item, batch_bytes):
        if isinstance(block, LongLine):
            rejected = RejectedRow(item.path, row, item.too_long(block.length), block.first)
            found = parse.rejected(rejected, block.length + 1)
        else:
            found = parse(block, row)
        row += found.total
        yield found
