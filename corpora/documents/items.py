"""Patterns or sources -> the work items of all their files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import msgspec

from corpora.documents.formats import FORMATS, detect
from corpora.documents.formats.lines import LineFormat
from corpora.documents.item import WorkItem
from corpora.documents.listing import Listed, list_files, refuse_collisions
from corpora.documents.sources import BETWEEN, DocumentSource, Inputs
from corpora.documents.splitting import Range
from corpora.documents.uncut import LARGE, said_of_uncut
from corpora.errors import BadArgument
from corpora.files import is_local

ITEM_BYTES = 128 << 20
LOOKS = 8  # files of the Hub that are looked into before the work, at most
_LOG = logging.getLogger(__name__)


def work_items(inputs: Inputs, item_bytes: int = ITEM_BYTES) -> list[WorkItem]:
    """Work items for every file that the patterns or sources name, in the order of names.

    Line files are cut about every item_bytes: uncompressed ones at line borders, .zst and BGZF at frames, where these
    can be found. Parquet files are cut between row groups. Files of the Hub stay whole.
    Raises BadArgument (no match, unknown extension, folder, name collision, Parquet without the text column, a file
    that two sources read differently) and TamizError (a remote address that can't be listed).
    """
    if item_bytes < 1:
        raise BadArgument(f"item_bytes is {item_bytes}; it must be at least 1")
    files = _files(_sources(inputs))
    _warn_of_unknown(files)
    ranges = _ranges(files, item_bytes)
    _warn_of_uncut(files, ranges, item_bytes)
    items: list[WorkItem] = []
    for file, parts in zip(files, ranges, strict=True):
        items += _items(file, parts, len(items))
    return items


def _sources(inputs: Inputs) -> list[DocumentSource]:
    """Plain patterns count as one source."""
    patterns = tuple(given for given in inputs if isinstance(given, str))
    sources = [given for given in inputs if not isinstance(given, str)]
    return [*([DocumentSource(input=patterns)] if patterns else []), *sources]


def _files(sources: Iterable[DocumentSource]) -> list[WorkItem]:
    """One item per file, sorted by output name: item numbers then depend only on what manifests record."""
    files: dict[str, WorkItem] = {}
    for source in sources:
        for listed in list_files(source.patterns):
            file = _whole(listed, source)
            first = files.setdefault(listed.key, file)
            if _reading(first) != _reading(file):
                raise BadArgument(f"{file.path} belongs to two sources that read it differently: list it in only one")
    ordered = sorted(files.values(), key=lambda file: (file.name, file.path))
    refuse_collisions((file.name, file.path) for file in ordered)
    return ordered


def _warn_of_unknown(files: Iterable[WorkItem]) -> None:
    """Says what templates name and the first file that is read with each lacks."""
    firsts = {(file.template, file.turns, file.turn): file for file in reversed([*files]) if file.row_text}
    for file in firsts.values():
        unknown = FORMATS.get(file.format).unknown_fields(file.at_a_glance())
        if unknown:
            _warn(f"{file.path}: {unknown}; such fields are taken as empty")


def _warn_of_uncut(files: Sequence[WorkItem], ranges: Sequence[list[Range]], item_bytes: int) -> None:
    """Files of the Hub are told of where it is said that each is fetched whole."""
    whole = [
        file
        for file, parts in zip(files, ranges, strict=True)
        if len(parts) == 1 and file.size and file.size > max(item_bytes, LARGE)
        and FORMATS.get(file.format).compressible and not file.commit
    ]  # fmt: skip
    largest = max(whole, key=lambda file: file.size or 0, default=None)
    if largest is not None:
        lines = isinstance(FORMATS.get(largest.format), LineFormat) and bool(largest.compression)
        _warn(said_of_uncut(whole, largest, lines))


@lru_cache(maxsize=64)
def _warn(message: str) -> None:
    """Once: every stage lists its inputs."""
    _LOG.warning("%s", message)


def _reading(item: WorkItem) -> tuple[object, ...]:
    names = item.text_column, item.url_column, item.timestamp_column, item.template, item.turns, item.turn
    return item.format, item.compression, names, item.language, item.blank_lines, item.max_document_bytes


def _whole(listed: Listed, source: DocumentSource) -> WorkItem:
    format, compression = detect(listed.address, source.format)
    return WorkItem(
        path=listed.address,
        format=format.name,
        compression=compression,
        start=0,
        end=listed.size or 0,
        first_row=0,
        number=0,
        name=f"{source.name}{BETWEEN}{listed.stem}" if source.name else listed.stem,
        size=listed.size,
        mtime_ns=listed.mtime_ns,
        etag=listed.etag,
        commit=listed.commit,
        text_column=source.text_column,
        url_column=source.url_column,
        timestamp_column=source.timestamp_column,
        max_document_bytes=source.max_document_bytes,
        language=source.language_of_documents,
        blank_lines=source.blank_lines,
        template=source.template,
        turns=source.turns,
        turn=source.turn,
    )


def _looked_at(files: Sequence[WorkItem]) -> set[str]:
    """Files of the Hub that are looked into before the work, spread over all: each costs a request."""
    of_hub = [file.path for file in files if file.commit]
    return {of_hub[place * len(of_hub) // LOOKS] for place in range(LOOKS)} if of_hub else set()


def _ranges(files: Sequence[WorkItem], item_bytes: int) -> list[list[Range]]:
    looked_at = _looked_at(files)

    def split(file: WorkItem) -> list[Range]:
        return _split(file, item_bytes, looked_at)

    with ThreadPoolExecutor(16) as pool:  # remote files: round trips
        found = {file.path: pool.submit(split, file) for file in files if not _is_at_hand(file)}
        return [found[file.path].result() if file.path in found else split(file) for file in files]


def _is_at_hand(file: WorkItem) -> bool:
    """Whether splitting it takes less time than asking a thread to."""
    return is_local(file.path) and isinstance(FORMATS.get(file.format), LineFormat)


def _split(file: WorkItem, item_bytes: int, looked_at: set[str]) -> list[Range]:
    format = FORMATS.get(file.format)
    if file.commit is None:
        format.check(file)
    elif file.path in looked_at:
        file = file.at_a_glance()
        format.check(file)
    return format.split(file, item_bytes)


def _items(file: WorkItem, parts: list[Range], number: int) -> list[WorkItem]:
    return [
        msgspec.structs.replace(
            file,
            start=part.start,
            end=part.end,
            first_row=part.first_row,
            number=number + index,
            name=file.name if len(parts) == 1 else f"{file.name}.item{index:04d}",
        )
        for index, part in enumerate(parts)
    ]
