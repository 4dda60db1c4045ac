"""A work item: which part of which file to read, how, and what its outputs are called. Never text."""

from __future__ import annotations

import re

import msgspec

from corpora.config import Config
from corpora.documents.templates import RowText, row_text
from corpora.hub.address import without_revision

TEXT = "text"  # the column that holds a document's text, unless the source names another
MAX_DOCUMENT_BYTES = 64 << 20  # the longest document, unless the source names another bound

_ITEM_SUFFIX = re.compile(r"\.item\d{4,}$")  # no input's name ends like this: it ends with the format's extension


class WorkItem(Config, frozen=True, kw_only=True):
    """A descriptor of one unit of work: small, hashable, picklable."""

    path: str
    """The file's address, as the pattern gave it."""

    format: str
    """The name of one of `FORMATS`."""

    compression: str
    """The name of one of `COMPRESSIONS`; empty for an uncompressed file."""

    start: int
    """First byte of a line file as stored, first row group of a Parquet file, otherwise 0.

    Of a compressed file: where a frame begins. The item's lines (or documents between blank lines) are those after
    the first line end (blank line) of these frames, up to the first one at or after `end`.
    """

    end: int
    """The end (exclusive), in the unit of `start`; 0 if the size is unknown, and the file is read to its end."""

    first_row: int | None
    """0-based row of the item's first line (or Parquet row) in the whole file.

    None: not counted yet. Readers then count what is before it (`row_numbers.located`); a stage counts once for all.
    """

    number: int
    """0-based number among all items of a run."""

    name: str
    """Output stem: the path below the pattern's fixed prefix, `/` as `__`, plus `.itemNNNN` if the file is split."""

    size: int | None
    """Bytes of the whole file, as stored; None if its server doesn't tell.

    With mtime_ns (local) or etag (remote, if known; for the Hub the hash of the content) it is the identity.
    """

    mtime_ns: int | None = None
    etag: str | None = None

    text_column: str = TEXT
    """The column or JSON field with the document's text."""

    url_column: str | None = None
    """The column or JSON field with the document's url. None: the first of `formats.fields.URLS` that has one."""

    timestamp_column: str | None = None
    """The same for its timestamp, and `formats.fields.TIMESTAMPS`."""

    language: str | None = None
    """The language of every document, if the source names one."""

    blank_lines: bool = False
    """Whether documents are separated by blank lines, so that one may have several lines."""

    max_document_bytes: int = MAX_DOCUMENT_BYTES
    """Rows of more bytes are rejected as too long."""

    template: str | None = None
    """How the text is made of the row's fields, see `templates`. None: it is in `text_column`, or made of `turns`."""

    turns: str | None = None
    """The field with the list of turns that the text is made of. None: there is none."""

    turn: str | None = None
    """The template of a turn. None: `templates.TURN`."""

    commit: str | None = None
    """Of a file of the Hub: the commit at which it was listed, and is read."""

    glimpsed: str | None = None
    """`carried.fields_digest` of what a look at an unchecked part of the file showed: the work compares."""

    glance: bool = False
    """Whether only some of the file is looked at, before the work: of one of the Hub, that part isn't checked."""

    @property
    def row_text(self) -> RowText | None:
        """How a row becomes a text; None if it has one, in `text_column`."""
        return row_text(self.template, self.turns, self.turn)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns or fields that the text is read from."""
        text = self.row_text
        return text.columns if text else (self.text_column,)

    def too_long(self, length: int) -> str:
        """Why a row of `length` bytes is rejected."""
        return f"too long: {length:,} bytes; max_document_bytes is {self.max_document_bytes:,}"

    @property
    def first(self) -> int:
        """`first_row`, which is known where rows are read."""
        assert self.first_row is not None, self.path
        return self.first_row

    @property
    def is_part(self) -> bool:
        """Of a line file: whether the item is only a part of it."""
        return self.size is not None and (self.start > 0 or self.end < self.size)

    @property
    def input_name(self) -> str:
        """`name` without `.itemNNNN`: the same for all items of a file."""
        return _ITEM_SUFFIX.sub("", self.name)

    def identity(self) -> dict[str, object]:
        """What the result of the work on it depends on. For a file of the Hub, that is its content, not the revision
        or commit at which it is found."""
        plain = self.asdict()
        for name in ("commit", "glance", "glimpsed"):
            del plain[name]
        return {**plain, "path": without_revision(self.path)}

    def at_a_glance(self) -> WorkItem:
        """The same item, for a look before the work that can but refuse: rows don't matter there."""
        return msgspec.structs.replace(self, glance=True, first_row=self.first_row or 0)
