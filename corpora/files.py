"""Files at any fsspec address: list, open, write atomically, checksum.

A final name is a function of the input; data goes to a temporary name in the same folder, is synced, and is
then renamed. A killed run leaves only temporary files, which the next run removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora.errors import TamizError

TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{12}$")


def is_local(address: str) -> bool:
    return "://" not in address


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved to `path` if the block succeeds, removed if it fails."""
    final = Path(path)
    temporary = final.with_name(f"{final.name}.tmp-{uuid.uuid4().hex[:12]}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(final)
        _sync(final.parent)
    except OSError as error:
        raise TamizError(f"can't write {final}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # for example, if the folder itself couldn't be made
            temporary.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def remove_temporary(folder: str | Path) -> int:
    """Removes the files that a killed run left below `folder`; returns how many."""
    stale = [p for p in Path(folder).rglob("*") if TEMPORARY.search(p.name) and p.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def sha256(path: str | Path) -> str:
    """Hex sha256 of a local file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_binary(address: str) -> IO[bytes]:
    """Opens a local path or any fsspec address for reading."""
    if is_local(address):
        return open(address, "rb")
    import fsspec

    file = fsspec.open(address, "rb", block_size=1 << 22)
    opened = file.open()
    return _Buffered(opened, file) if not hasattr(opened, "readinto1") or "::" in address else opened


class _Buffered(io.BufferedReader):
    """Keeps what opened it: an archive, as in `zip://a::b.zip`, is closed when nothing refers to its file system."""

    def __init__(self, opened: io.RawIOBase, opener: object) -> None:
        super().__init__(opened, 1 << 20)
        self._opener = opener
