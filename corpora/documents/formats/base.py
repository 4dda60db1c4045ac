"""What an input format is: one value that owns its extensions, splitting, reading and checks.

To add one: subclass Format (or LineFormat, where a row is a line) and register an instance with `FORMATS.register`.
The files that `--input` accepts, its help text, the names of sources and the messages derive from the registry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from corpora.documents.batches import DocumentBatch, TextBatch
from corpora.documents.carried import CarriedColumn
from corpora.documents.formats.carried_strings import carry_strings
from corpora.documents.item import WorkItem
from corpora.documents.splitting import Range
from corpora.errors import BadArgument

if TYPE_CHECKING:
    import pyarrow as pa


def usual_columns(item: WorkItem) -> tuple[str, ...]:
    """The columns or fields that hold text, url and timestamp, if they have their usual or given names."""
    return *item.text_columns, item.url_column or "url", item.timestamp_column or "timestamp"


class Format(ABC):
    """One input format. Only `name`, `extensions` and `batches` must be given."""

    name: str
    """Its name in `--format` and in work items."""

    extensions: tuple[str, ...]
    """In lower case, with the dot, without a compression's extension."""

    shown_extensions: tuple[str, ...] = ()
    """Those that help texts list; all of them if empty."""

    compressible: bool = True
    """Whether compressed files, such as `EXTENSION.gz`, are read too (`streams.pieces` decompresses them)."""

    fixed_columns: tuple[str, ...] | None = None
    """The columns of every file, if they are always the same. None: each file has columns of its own."""

    schemaless: bool = False
    """Whether only the rows show what fields there are, each row for itself, as in JSON."""

    carried_on_request: bool = False
    """Whether a sample has the columns of `fields` only if they are asked for. If not asked for, it names them."""

    checks_glance: bool = False
    """Whether `carrying` refuses a file whose `fields` aren't those of `item.glimpsed`, so that a look at a part of
    the file that nobody checked may decide what is carried."""

    takes_blank_lines: bool = False
    """Whether `--blank-lines` applies to the format."""

    takes_templates: bool = False
    """Whether the text can be made of several fields: a source's `template` and `turns`."""

    @abstractmethod
    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        """The item's rows, each once, in order; see `reading.read_batches` for the rules. Honours item.text_column.

        Raises Damage after the last good batch, TamizError if the file can't be read at all.
        """

    def texts(self, item: WorkItem, batch_bytes: int) -> Iterator[TextBatch]:
        """As `batches`, for callers that need only the texts."""
        return map(TextBatch.of, self.batches(item, batch_bytes, ()))

    def carrying(
        self,
        item: WorkItem,
        batch_bytes: int,
        carry: Sequence[CarriedColumn],
        columns: tuple[str, ...] = (),
    ) -> Iterator[DocumentBatch]:
        """As `batches`; each batch's `carried` gives the columns `carry`. By default these are read as `columns`
        are: strings of the names in `fields`."""
        return carry_strings(partial(self.batches, item, batch_bytes), self.fields(item), carry, columns)

    def fields(self, item: WorkItem) -> Mapping[str, pa.DataType]:  # noqa: ARG002
        """The columns that are known before the rows are read: name -> type as `carrying` gives it. If `schemaless`:
        the fields of the first rows."""
        return {}

    def unknown_fields(self, item: WorkItem) -> str | None:  # noqa: ARG002
        """What the item's template names and its first rows lack, in a line; None if they have all, or if `split`
        refuses such files."""
        return None

    def split(self, item: WorkItem, item_bytes: int) -> list[Range]:  # noqa: ARG002
        """Ranges of about item_bytes that cover the file of `item`. By default: the whole file."""
        return [Range(0, item.size or 0, 0)]

    def columns(self, item: WorkItem) -> Sequence[str] | None:  # noqa: ARG002
        """The file's columns if they are known before its rows are read, otherwise None."""
        return self.fixed_columns

    def check(self, item: WorkItem) -> None:
        """Raises BadArgument if the file can't be read the way `item` describes. Called before any work."""
        named = {"text": item.text_column, "url": item.url_column, "timestamp": item.timestamp_column}
        for value, column in named.items():
            if self.fixed_columns is not None and column not in (None, value):
                columns = ", ".join(self.fixed_columns)
                raise BadArgument(f"{item.path} has no column {column}; a {self.name} file has only {columns}")
        if item.row_text and not self.takes_templates:
            raise BadArgument(
                f"{item.path}: template and turns are for JSON lines and Parquet, not for a {self.name} file: "
                "leave them out, or convert it"
            )
        if item.blank_lines and not self.takes_blank_lines:
            raise BadArgument(
                f"{item.path}: blank lines can't separate the documents of a {self.name} file; "
                "leave out --blank-lines, or name only .txt files"
            )
