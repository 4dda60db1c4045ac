"""Room on the disk for the copies of files of the Hub: while it is read, each is there whole, one for each worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.hub import cache
from corpora.hub.opening import passed_over, room_folder
from corpora.machine import free_bytes

_LOG = logging.getLogger(__name__)


def room_needed(items: Sequence[WorkItem], workers: int) -> int:
    """Bytes of copies at a time; with a cache, in the end."""
    sizes = {item.etag: item.size or 0 for item in items if item.commit}
    kept = cache.folder()
    if kept is not None:
        return sum(size for tag, size in sizes.items() if not (kept / str(tag)).exists())
    return sum(sorted(sizes.values(), reverse=True)[:workers])


def check_room(items: Sequence[WorkItem], workers: int) -> None:
    """Raises TamizError if they don't fit where this process puts them, or nothing can be put there."""
    needed, folder = room_needed(items, workers), room_folder()
    if not needed:
        return
    kept = cache.folder()
    if kept is not None:
        cache.check_writable(kept)
    elif (named := passed_over()) is not None:
        _LOG.warning("TMPDIR=%s can't be written: copies of the Hub's files lie in %s", named, folder)
    free = free_bytes(folder)
    if needed <= free:
        return
    what = "to keep the files" if kept else f"for the largest files, {workers} at a time,"
    remedy = cache.ADVICE if kept else "set TMPDIR to a folder on a larger disk, or use fewer --workers"
    raise TamizError(
        f"reading from the Hub needs {needed:,} bytes {what} in {folder}, where {free:,} are free: {remedy}"
    )
