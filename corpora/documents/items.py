"""Patterns -> the work items of every file that they name."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from corpora.documents.formats import detect
from corpora.documents.item import WorkItem
from corpora.documents.listing import Listed, list_inputs
from corpora.documents.sources import DocumentSource
from corpora.documents.splitting import Range, split
from corpora.errors import BadArgument

ITEM_BYTES = 128 << 20
Inputs = Sequence[str | DocumentSource]


def work_items(inputs: Inputs, item_bytes: int = ITEM_BYTES) -> list[WorkItem]:
    """Work items for every file that the inputs (patterns or sources) name, in the order of names.

    Local uncompressed line files are cut at line borders about every item_bytes, Parquet between row groups.
    Raises BadArgument (no match, unknown extension, folder, name collision, Parquet without a text column) and
    TamizError (a remote address that can't be listed).
    """
    if item_bytes < 1:
        raise BadArgument(f"item_bytes is {item_bytes}; it must be at least 1")
    files = list_inputs([p for i in inputs for p in ([i] if isinstance(i, str) else i.patterns)])
    formats = [detect(listed.address) for listed in files]
    with ThreadPoolExecutor(16) as pool:  # remote Parquet footers: one round trip each
        ranges = list(pool.map(split, files, formats, [item_bytes] * len(files)))
    items: list[WorkItem] = []
    for listed, kind, parts in zip(files, formats, ranges, strict=True):
        items += _items(listed, kind, parts, len(items))
    return items


def _items(listed: Listed, kind: tuple[str, str], parts: list[Range], number: int) -> list[WorkItem]:
    return [
        WorkItem(
            path=listed.address,
            format=kind[0],
            compression=kind[1],
            start=part.start,
            end=part.end,
            first_row=part.first_row,
            number=number + index,
            name=listed.stem if len(parts) == 1 else f"{listed.stem}.item{index:04d}",
            size=listed.size,
            mtime_ns=listed.mtime_ns,
            etag=listed.etag,
        )
        for index, part in enumerate(parts)
    ]
