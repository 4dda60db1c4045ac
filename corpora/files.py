"""Files at any fsspec address: list, open, write atomically, checksum.

A final name is a function of the input; data goes to a temporary name in the same folder, is synced, and is
then renamed. A killed run leaves only temporary files, which the next run removes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpora import locks
from corpora.addresses import refuse_mangled
from corpora.errors import TamizError
from corpora.machine import free_bytes, nearest_folder

TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{12}$")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # there is no room for the file


def is_local(address: str) -> bool:
    return "://" not in address


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved to `path` if the block succeeds, removed if it fails."""
    final = Path(path)
    refuse_mangled(final)
    temporary = final.with_name(f"{final.name}.tmp-{uuid.uuid4().hex[:12]}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(final)
        _sync(final.parent)
    except OSError as error:
        raise cannot_write(final, error, _remove(temporary), at_least=True) from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> int:
    """Returns the size of the file that was removed: 0 if there was none, or if its folder couldn't be made."""
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:
        return 0
    return size


def cannot_write(
    path: Path, error: OSError, needed: int = 0, *, at_least: bool = False, name: str = "", advice: str = ""
) -> TamizError:
    """The error for a failed write; for a full disk it says how many bytes are needed and how many are free.

    needed: the bytes to write, or those written so far (at_least); 0 if unknown. name: what to call the file instead
    of its path. advice: ends the line. Call it when the part that was written is removed.
    """
    reason = error.strerror or str(error)
    if error.errno in FULL:
        need = f"needs {'more than ' if at_least else ''}{needed:,} bytes, " if needed else ""
        reason = f"{os.strerror(error.errno)}: {need}{_room(path, error.errno)}"
    return TamizError(f"can't write {name or path}: {reason}{f'; {advice}' if advice else ''}")


def _room(path: Path, code: int) -> str:
    if code == errno.EFBIG:
        return "more than a file may have here (by `ulimit -f`, or by the kind of disk)"
    return f"{free_bytes(path.parent):,} free in {nearest_folder(path.parent)}"


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
    """Removes the files that a killed run left below `folder`; returns how many.

    Leaves alone folders inside where another run works, or that have a manifest: their own runs remove theirs. None
    is removed where other shares of the same run may be at work.
    """
    removed = 0
    if locks.is_shared(Path(folder)):
        return removed
    for here, inner, names in os.walk(folder):
        own = Path(here) == Path(folder)
        if not own and any(name == "manifest.json" or name.endswith(locks.SUFFIX) for name in names):
            inner.clear()
            continue
        for name in names:
            if TEMPORARY.search(name):
                Path(here, name).unlink(missing_ok=True)
                removed += 1
    return removed


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
