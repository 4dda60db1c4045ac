"""A work item: which part of which file, and what its outputs are called. Never text."""

from __future__ import annotations

import re

from corpora.config import Config

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
