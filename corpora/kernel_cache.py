"""Where compiled kernels are cached on disk: one folder per version of all the kernels' sources.

numba keys a cached kernel only by the source of its own file. But a kernel contains code inlined from other files,
and their constants, so a change there would leave it stale. Hence the folder's name is a digest of every file that a
kernel can be built from: a change in any of them starts an empty folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from atexit import register
from collections.abc import Iterator
from pathlib import Path

PREFIX = "kernels-"
_USES_KERNELS = b"corpora.compiled"
_IMPORTED = re.compile(rb"^from corpora\.([\w.]+) import", re.MULTILINE)
_KEPT = 8  # folders kept, however old: there may be several checkouts and versions in use
_UNUSED_SECONDS = 24 * 3600.0  # a process may still be compiling into a younger folder


def digest(package: Path, *environment: str) -> str:
    """16 hex digits: a digest of the kernel modules in `package`, what they import from it, and `environment`.

    Imported modules count because numba compiles their constants into the kernel.
    """
    sources = dict(_modules(str(package), ""))
    kernels = {name for name, source in sources.items() if _USES_KERNELS in source}
    imported = {name.decode() for kernel in kernels for name in _IMPORTED.findall(sources[kernel])}
    hashed = hashlib.sha256("\0".join(environment).encode())
    for name in sorted((kernels | imported) & sources.keys()):
        hashed.update(b"\0%s\0%d\0%s" % (name.encode(), len(sources[name]), sources[name]))
    return hashed.hexdigest()[:16]


def _modules(folder: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Name below the package, and source, of every module. Strings, not Paths, for speed: it runs at every start."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(".py"):
                with open(entry.path, "rb", buffering=0) as file:
                    yield prefix + name[:-3], file.read()
            elif name != "__pycache__" and entry.is_dir():
                yield from _modules(entry.path, f"{prefix}{name}.")


def cache_folder(base: Path, version: str) -> Path | None:
    """`base`/kernels-`version`, created if missing; None if it can't be written. Removes old siblings."""
    folder = base / (PREFIX + version)
    try:
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder)  # marks the last use: old folders are removed by this time
    except OSError:
        return None
    if is_new:
        _remove_old(base)
    return folder


def _remove_old(base: Path) -> None:
    """Removes all but the most recently used folders. Another process may be removing the same ones."""
    used = []
    for folder in base.glob(PREFIX + "*"):
        try:
            used.append((folder.stat().st_mtime, folder))
        except FileNotFoundError:  # another process removed it
            continue
    oldest_kept = time.time() - _UNUSED_SECONDS
    for last_use, folder in sorted(used, reverse=True)[_KEPT:]:
        if last_use < oldest_kept:
            shutil.rmtree(folder, ignore_errors=True)


def temporary_folder() -> Path:
    """A folder that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="tamiz-kernels-")
    register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
