"""Work items: which part of which file, and what its outputs are called. Never text."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from corpora.config import Config
from corpora.documents.formats import detect
from corpora.documents.listing import Listed, list_inputs
from corpora.documents.splitting import Range, split
from corpora.errors import BadArgument

ITEM_BYTES = 128 << 20
_ITEM_SUFFIX = re.compile(r"\.item\d{4,}$")  # no input can end so: its extension says its format


class WorkItem(Config, frozen=True, kw_only=True):
    """A descriptor of one unit of work: small, hashable, picklable.

    path        the file's address, as the pattern gave it
    format      jsonl | tsv | txt | parquet; compression: "" | gz | zst
    start, end  bytes of an uncompressed line file, row groups of a Parquet file, else the whole file
    first_row   0-based row of the item's first line (or Parquet row) in the whole file
    number      0-based over all items of a run
    name        output stem: path below the pattern's fixed prefix, `/` as `__`, plus `.itemNNNN` if the file is split
    size, mtime_ns, etag    the file's identity (mtime_ns: local files; etag: remote files, where one is given)
    """

    path: str
    format: str
    compression: str
    start: int
    end: int
    first_row: int
    number: int
    name: str
    size: int
    mtime_ns: int | None = None
    etag: str | None = None

    @property
    def input_name(self) -> str:
        """`name` without `.itemNNNN`: the same for all items of a file."""
        return _ITEM_SUFFIX.sub("", self.name)


def work_items(patterns: list[str], item_bytes: int = ITEM_BYTES) -> list[WorkItem]:
    """Work items for every file that the patterns name, in the order of names.

    Local uncompressed line files are cut at line borders about every item_bytes, Parquet between row groups.
    Raises BadArgument (no match, unknown extension, folder, name collision, Parquet without a text column) and
    TamizError (a remote address that can't be listed).
    """
    if item_bytes < 1:
        raise BadArgument(f"item_bytes is {item_bytes}; it must be at least 1")
    files = list_inputs(patterns)
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
