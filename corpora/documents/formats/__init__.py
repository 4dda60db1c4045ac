"""The input formats by name, and how a file's format is found.

base     what a format is                   lines    formats whose rows are lines
jsonl    one JSON object a line             txt      one document a line, or a run of lines between blank ones
parquet  columns, in row groups             tsv      id, tab, passage (mMARCO)
csv      records below a header             wet      Common Crawl's extracted texts
leipzig  number, tab, sentence
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from corpora.choices import Choices
from corpora.documents.addresses import path_of
from corpora.documents.compressions import COMPRESSIONS, compression_of
from corpora.documents.formats.base import Format
from corpora.documents.item import MAX_DOCUMENT_BYTES, TEXT, WorkItem
from corpora.errors import BadArgument
from corpora.files import is_local

CUT = "cut"

FORMATS: Choices[Format] = Choices(
    "format",
    "format",
    {
        "jsonl": "corpora.documents.formats.jsonl:JSONL",
        "parquet": "corpora.documents.formats.parquet:PARQUET",
        "tsv": "corpora.documents.formats.tsv:TSV",
        "txt": "corpora.documents.formats.txt:TXT",
        "csv": "corpora.documents.formats.csv_rows:CSV",
        "wet": "corpora.documents.formats.wet:WET",
        "leipzig": "corpora.documents.formats.leipzig:LEIPZIG",
    },
)


def by_extension() -> dict[str, tuple[Format, str]]:
    """Extension -> (format, compression). Raises BadArgument if two formats claim one extension."""
    return _by_extension(tuple(FORMATS))


@lru_cache(maxsize=8)
def _by_extension(formats: tuple[Format, ...]) -> dict[str, tuple[Format, str]]:
    table: dict[str, tuple[Format, str]] = {}
    for format in formats:
        for extension in format.extensions:
            if extension in table:
                raise BadArgument(f"the formats {table[extension][0].name} and {format.name} both claim {extension}")
            table[extension] = (format, "")
            if format.compressible:
                table |= {f"{extension}.{compression}": (format, compression) for compression in COMPRESSIONS}
    return table


def detect(address: str, name: str | None = None) -> tuple[Format, str]:
    """(format, compression) of a file. name: use this format, whatever the extension.

    Raises BadArgument, listing what is readable, for an unknown format or extension.
    """
    if name is not None:
        format = FORMATS.get(name)
        return format, compression_of(address) if format.compressible else ""
    format_and_compression = _by_ending(address)
    if format_and_compression is None:
        raise BadArgument(
            f"{address}: unknown extension; readable are {extensions()}; "
            f"--format names the format of other files ({', '.join(FORMATS.names())})"
        )
    return format_and_compression


def _by_ending(address: str) -> tuple[Format, str] | None:
    table, name = by_extension(), path_of(address).lower()
    return next((table[name[-length:]] for length in _lengths(tuple(table)) if name[-length:] in table), None)


@lru_cache(maxsize=8)
def _lengths(extensions: tuple[str, ...]) -> list[int]:
    """Of extensions, the longest first."""
    return sorted({len(extension) for extension in extensions}, reverse=True)


def extensions() -> str:
    """The readable extensions, for help texts and messages: `.jsonl, ... (also .gz, ...), .parquet`."""
    alone = [e for format in FORMATS if not format.compressible for e in format.shown_extensions or format.extensions]
    other = [e for format in FORMATS if format.compressible for e in format.shown_extensions or format.extensions]
    compressed = ", ".join(f".{compression}" for compression in COMPRESSIONS)
    return ", ".join([f"{', '.join(other)} (also compressed: {compressed})", *alone])


def extension_pattern() -> str:
    """A regular expression for the extension of any readable file."""
    bare = "|".join(re.escape(extension) for format in FORMATS for extension in format.extensions)
    return rf"({bare})(\.({'|'.join(COMPRESSIONS)}))?"


def refuse_missing_column(items: Sequence[WorkItem], column: str) -> None:
    """Raises BadArgument if an input is known, before any work, not to have `column`.

    Looks at the first file of each format: at a Parquet file's schema; JSON shows its fields only row by row.
    """
    for item in {item.format: item for item in reversed(items)}.values():
        names = FORMATS.get(item.format).columns(item.at_a_glance())
        if names is not None and column not in names:
            known = ", ".join(dict.fromkeys(names))
            raise BadArgument(f"{item.path} has no column {column}; its columns are {known}")


def reading_of(item: WorkItem) -> dict[str, str | bool | int]:
    """How `item` is read, if not in the default way: part of its input's identity. All but CUT are a source's."""
    reading: dict[str, str | bool | int] = {}
    usual = _by_ending(item.path)
    if usual is None or usual[0].name != item.format:
        reading["format"] = item.format
    if item.text_column != TEXT:
        reading["text_column"] = item.text_column
    for name in ("template", "turns", "turn"):
        if getattr(item, name) is not None:
            reading[name] = getattr(item, name)
    if item.is_part and FORMATS.get(item.format).compressible and (item.compression or not is_local(item.path)):
        reading[CUT] = "at frames" if item.compression else "at lines"  # once, such files were one item
    if item.blank_lines:
        reading["blank_lines"] = True
    if item.url_column:
        reading["url_column"] = item.url_column
    if item.timestamp_column:
        reading["timestamp_column"] = item.timestamp_column
    if item.max_document_bytes != MAX_DOCUMENT_BYTES:
        reading["max_document_bytes"] = item.max_document_bytes
    return reading
