"""Opens a file of the Hub once all of it is here and checked: a temporary copy, or one that TAMIZ_HUB_CACHE keeps."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora.errors import TamizError
from corpora.hub import cache
from corpora.hub.fetching import fetch, let_go
from corpora.hub.remote import RemoteFile

_PIECE = 1 << 20


@contextlib.contextmanager
def verified(file: RemoteFile) -> Iterator[IO[bytes]]:
    """The file's content, checked, open at its start: a temporary copy, or one of TAMIZ_HUB_CACHE.

    The temporary copy has no name, so nothing of it is left when the block, or the process, ends in whatever way.
    Raises Unreachable if it can't be fetched, TamizError if there is no room for it.
    """
    if (kept := cache.folder()) is not None:
        with cache.kept(file, kept / file.tag, cache.ADVICE) as copy:
            yield copy
        return
    place = _temporary()
    copy = _nameless(file)
    try:
        fetch(file, copy, place / "copy", advice="set TMPDIR to a folder on a larger disk")
        yield copy
    finally:
        let_go(copy)


def _nameless(file: RemoteFile) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(buffering=_PIECE, prefix="tamiz-hub-")
    except OSError as error:
        place = error.filename or tempfile.gettempdir()
        raise TamizError(f"can't make a temporary copy of {file.address} ({place}: {error.strerror})") from error


def _temporary() -> Path:
    try:
        return Path(os.path.realpath(tempfile.gettempdir()))
    except OSError as error:
        raise TamizError(f"no temporary folder can be written, neither TMPDIR nor /tmp: {error.strerror}") from error


def room_folder() -> Path:
    """Where the copies of files lie while they are read. Raises TamizError if there is no such place."""
    return cache.folder() or _temporary()


def passed_over() -> str | None:
    """TMPDIR, if it can't be written: Python then takes another folder without a word."""
    named = os.environ.get("TMPDIR")
    return named if named and os.path.realpath(named) != str(_temporary()) else None
