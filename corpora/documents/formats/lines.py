"""Formats whose rows are lines: how they are split into ranges, and how blocks of lines become batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeVar

from corpora.documents.batches import BatchBuilder, DocumentBatch, Outcome, TextBatch
from corpora.documents.formats.base import Format
from corpora.documents.item import WorkItem
from corpora.documents.splitting import Range, blank_line_end, line_end, ranges_of_lines
from corpora.documents.streams import blocks_of_lines, pieces
from corpora.errors import TamizError
from corpora.files import is_local

_BOM = b"\xef\xbb\xbf"

Batch = TypeVar("Batch", DocumentBatch, TextBatch)


class LineParser(ABC):
    """Blocks of lines -> DocumentBatch. A subclass decides what a line becomes, and may parse a block at once."""

    def __init__(self, file: str, columns: tuple[str, ...]) -> None:
        self.file = file
        self.columns = columns

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        """`block` holds whole lines; the last may lack its newline."""
        whole = self.whole(block, first_row)
        if whole is not None:
            return whole
        builder = BatchBuilder(self.file, self.columns)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for row, line in enumerate(lines, first_row):
            builder.add(row, self.outcome(line), line)
        return builder.build(len(block))

    def whole(self, block: bytes, first_row: int) -> DocumentBatch | None:  # noqa: ARG002
        """The whole block at once, for speed; None if any line is unusual. Gives the same outcomes as `outcome`."""
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
        """Ranges that end after lines, or after blank lines if these separate documents.

        Compressed and remote files stay whole.
        """
        if item.compression or item.size is None or item.size <= item_bytes or not is_local(item.path):
            return super().split(item, item_bytes)
        border = blank_line_end if item.blank_lines else line_end
        try:
            with open(item.path, "rb", buffering=0) as file:
                return ranges_of_lines(file, item.size, item_bytes, border)
        except OSError as error:
            raise TamizError(f"can't read {item.path}: {error.strerror or error}") from error


def blocks(item: WorkItem, batch_bytes: int) -> Iterator[bytes]:
    """Whole lines, about batch_bytes at a time, without a byte order mark at the start of the file."""
    for number, block in enumerate(blocks_of_lines(pieces(item), batch_bytes)):
        yield block.removeprefix(_BOM) if item.start == number == 0 else block


def read_lines(item: WorkItem, batch_bytes: int, parse: Callable[[bytes, int], Batch]) -> Iterator[Batch]:
    """A batch for each block of lines. parse takes the block and the row of its first line."""
    row = item.first_row
    for block in blocks(item, batch_bytes):
        batch = parse(block, row)
        row += batch.total
        yield batch
