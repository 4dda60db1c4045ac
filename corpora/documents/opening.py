"""Opens the file of a work item: from disk, from any file system, or from the Hub, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO

from corpora.documents.item import WorkItem
from corpora.documents.source import unreadable
from corpora.errors import TamizError
from corpora.files import open_binary
from corpora.home import opened
from corpora.hub.address import is_hub
from corpora.stores.reading import is_ours


@contextlib.contextmanager
def opened_file(item: WorkItem) -> Iterator[IO[bytes]]:
    """The whole file of the item. Raises TamizError if it can't be opened.

    One of the Hub is fetched first, and checked; for a `glance` only what is read of it is fetched.
    """
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(_of_hub(item) if is_hub(item.path) else _opened(item.path))
        except Exception as error:  # every file system raises its own exceptions
            raise unreadable(item.path, error) from error
        yield file


def _opened(path: str) -> IO[bytes]:
    return opened(path) if is_ours(path) else open_binary(path)


def _of_hub(item: WorkItem) -> contextlib.AbstractContextManager[IO[bytes]]:
    from corpora.hub.glance import glimpsed
    from corpora.hub.opening import verified
    from corpora.hub.remote import RemoteFile

    if item.commit is None or item.size is None or item.etag is None:
        raise TamizError(f"{item.path} isn't listed: make its item with work_items([{item.path!r}])")
    file = RemoteFile.at(item.path, item.commit, item.size, item.etag)
    return glimpsed(file) if item.glance else verified(file)
