"""Small reads at any place of a file, without reading the rest: of a local file, or by ranges of a remote one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from corpora.documents.item import WorkItem
from corpora.documents.source import unreadable
from corpora.files import is_local

Look = Callable[[int, int], bytes]
"""(position, length) -> the bytes there; fewer only at the file's end."""


class NoRanges(Exception):
    """The file can only be read from its beginning."""


@contextlib.contextmanager
def looking_into(file: WorkItem) -> Iterator[Look]:
    """Raises NoRanges if its server doesn't send what it is asked for, TamizError if the file can't be read."""
    try:
        if is_local(file.path):
            with open(file.path, "rb", buffering=0) as opened:
                descriptor = opened.fileno()
                yield lambda position, length: os.pread(descriptor, length, position)
        else:
            yield _ranges(file)
    except OSError as error:
        raise unreadable(file.path, error) from error


def _ranges(file: WorkItem) -> Look:
    if file.size is None or "::" in file.path:  # in an archive, what is before is decompressed each time
        raise NoRanges
    size = file.size
    import fsspec

    filesystem: Any
    filesystem, path = fsspec.core.url_to_fs(file.path)

    def look(position: int, length: int) -> bytes:
        end = min(position + length, size)
        if end <= position:
            return b""
        try:
            data: bytes = filesystem.cat_file(path, start=position, end=end)
        except Exception as error:  # every file system raises its own exceptions
            raise unreadable(file.path, error) from error
        if len(data) != end - position:
            raise NoRanges
        return data

    return look
