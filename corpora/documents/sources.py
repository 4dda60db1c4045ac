"""Where documents come from: the sources that recipes and commands describe. Published corpora: published.py."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from corpora.config import Config
from corpora.documents.item import MAX_DOCUMENT_BYTES, TEXT
from corpora.documents.published import SOURCES
from corpora.documents.templates import row_text

__all__ = ["BETWEEN", "SOURCES", "DocumentSource", "Inputs", "owner_of"]

BETWEEN = "__"
"""Between a source's name and that of its file, in the names of items."""


def _problem(name: str) -> str:
    """Why `name` isn't a published corpus, with the nearest name."""
    near = difflib.get_close_matches(name, SOURCES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"published corpora are {', '.join(SOURCES)}"
    return f"source is {name!r}, which is not a published corpus that tamiz knows; {hint}"


class DocumentSource(Config, frozen=True, kw_only=True):
    """Documents that are all read in the same way: a published corpus by name, or files."""

    input: tuple[str, ...] | str | None = None
    """File patterns. If `source` is given too, they replace its files."""

    source: str | None = None
    """A published corpus: a name in SOURCES."""

    language: str | None = None
    """The language of every document. None: the published corpus's, or the one that each file's path names."""

    text_column: str = TEXT
    """The column (Parquet, CSV) or field (JSON lines) with the text, or the path to a nested one, as `metadata.text`.
    .txt, .tsv and WET files only have `text`."""

    template: str | None = None
    """How the text is made of several fields (JSON lines, Parquet), as `{instruction}\\n{input}\\n{output}`. A
    line of it whose fields are all empty is dropped. None: it is in `text_column`, or made of `turns`."""

    turns: str | None = None
    """The field with the list of turns of a chat, as `conversations`: the text is made of them. A `template` says
    with `{conversations}` where they go. None: rows aren't chats."""

    turn: str | None = None
    """How the text of a turn is made of its keys. `{role}` is also `from`, and `{content}` also `value`. None:
    `{role}: {content}` and a line break."""

    url_column: str | None = None
    """The column or field with the url. None: the first of `url`, `u`, `metadata.url` and others."""

    timestamp_column: str | None = None
    """The column or field with the timestamp. None: `timestamp`, `ts`, `date_download`, `date`, ..."""

    max_document_bytes: int = MAX_DOCUMENT_BYTES
    """Rows of more bytes are rejected as too long and never held whole: lines of JSON as stored, Parquet by their
    text. [default: 67108864]"""

    format: str | None = None
    """The name of one of FORMATS, for files without an extension. None: the extension decides."""

    blank_lines: bool = False
    """Whether documents are separated by blank lines (.txt, as in CC-100) instead of line ends."""

    name: str | None = None
    """A prefix for output names, as `NAME__`, to keep apart sources whose files have equal names."""

    def __post_init__(self) -> None:
        if self.input is not None and not self.input:
            raise ValueError("input is empty: list file patterns, or remove it")
        if self.input is None and self.source is None:
            raise ValueError("neither input nor source is given: list file patterns, or name a published corpus")
        if self.source is not None and self.source not in SOURCES:
            raise ValueError(_problem(self.source))
        self._check_names()
        if self.format is not None:
            from corpora.documents.formats import (
                FORMATS,  # imported here because readers import numpy, and recipes must load quickly
            )

            if self.format not in FORMATS.names():
                raise ValueError(f"format is {self.format!r}; it must be one of {', '.join(FORMATS.names())}")

    def _check_names(self) -> None:
        columns = ("text_column", "url_column", "timestamp_column")
        for field in ("language", *columns, "name"):
            if getattr(self, field) == "":
                raise ValueError(f"{field} is empty: give a name, or leave it out")
        for field in columns:
            if re.search(r'[\\"\x00-\x1f]', getattr(self, field) or ""):
                raise ValueError(
                    f"{field} is {getattr(self, field)!r}; it can't contain quotes, backslashes or control characters"
                )
        if row_text(self.template, self.turns, self.turn) and self.text_column != TEXT:
            raise ValueError(
                f"text_column is {self.text_column!r}, but the text is made of other fields: remove it, or template "
                "and turns"
            )
        if self.max_document_bytes < 1:
            raise ValueError(f"max_document_bytes is {self.max_document_bytes}; it must be at least 1")
        if self.name is not None and ("/" in self.name or self.name.startswith(".")):
            raise ValueError(
                f"name is {self.name!r}; it becomes part of file names, so it can't contain / or start with a dot"
            )

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of the source's files."""
        if self.input is None:
            return (SOURCES[str(self.source)].pattern,)
        return (self.input,) if isinstance(self.input, str) else self.input

    @property
    def language_of_documents(self) -> str | None:
        """`language`, or that of the published corpus whose files are read."""
        if self.language is None and self.input is None:
            return SOURCES[str(self.source)].language
        return self.language


Inputs = Sequence[str] | Sequence[DocumentSource]
"""What every stage accepts as its documents: file patterns, or sources."""


def owner_of(item: str, names: Iterable[str]) -> str | None:
    """Which of the named sources an item is of, by its name; None if it is of none of them."""
    return max((name for name in names if item.startswith(name + BETWEEN)), key=len, default=None)
