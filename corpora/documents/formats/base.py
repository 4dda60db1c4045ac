"""What an input format is: one value that owns its extensions, its splitting, its reading and its refusals.

To add one: subclass Format (or LineFormat, where a row is a line) and register an instance with `FORMATS.register`.
What `--input` takes, its help text, the names of sources and the messages derive from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from corpora.documents.batches import DocumentBatch, TextBatch
from corpora.documents.item import TEXT, WorkItem
from corpora.documents.splitting import Range
from corpora.errors import BadArgument


class Format(ABC):
    """One input format. Only `name`, `extensions` and `batches` must be given."""

    name: str
    """What `--format` and work items call it."""

    extensions: tuple[str, ...]
    """In lower case with their dots, without a compression."""

    compressible: bool = True
    """Whether `EXTENSION.gz` and the other compressions are read, too (`streams.pieces` decompresses them)."""

    fixed_columns: tuple[str, ...] | None = None
    """The columns of every file, where they are always the same. None: files name their own columns."""

    takes_blank_lines: bool = False
    """Whether `--blank-lines` has a meaning for it."""

    @abstractmethod
    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        """The item's rows, each once, in order; see `reading.read_batches` for the rules. Honours item.text_column.

        Raises Damage after the last good batch, TamizError if the file can't be read at all.
        """

    def texts(self, item: WorkItem, batch_bytes: int) -> Iterator[TextBatch]:
        """As `batches`, for callers that need only the texts."""
        return map(TextBatch.of, self.batches(item, batch_bytes, ()))

    def split(self, item: WorkItem, item_bytes: int) -> list[Range]:  # noqa: ARG002
        """Ranges of about item_bytes that cover the file that `item` stands for. Here: always the whole file."""
        return [Range(0, item.size, 0)]

    def columns(self, item: WorkItem) -> Sequence[str] | None:  # noqa: ARG002
        """The columns that the file has, where that is known before its rows are read; otherwise None."""
        return self.fixed_columns

    def check(self, item: WorkItem) -> None:
        """Raises BadArgument if the file can't be read the way that `item` says. Called before any work."""
        if self.fixed_columns is not None and item.text_column != TEXT:
            columns = ", ".join(self.fixed_columns)
            raise BadArgument(f"{item.path} has no column {item.text_column}; a {self.name} file has only {columns}")
        if item.blank_lines and not self.takes_blank_lines:
            raise BadArgument(
                f"{item.path}: blank lines can't separate the documents of a {self.name} file; "
                "leave out --blank-lines, or name only .txt files"
            )
