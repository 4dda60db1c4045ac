"""A process that shares no folder with the others: the same path, its own disk. Needs root (a mount namespace)."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path


@functools.cache
def missing() -> str | None:
    """Why no process can be set apart here."""
    if shutil.which("unshare") is None:
        return "no unshare on PATH"
    ended = subprocess.run([*apart(Path("/mnt")), "true"], capture_output=True, text=True)
    return f"no mount namespace: {ended.stderr.strip()}" if ended.returncode else None


def apart(folder: Path) -> list[str]:
    """Starts the rest of its line so that `folder` is an empty disk in memory, which nobody else sees."""
    script = 'mount -t tmpfs none "$0" && cd "$0" && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder)]


def own_folders(folder: Path) -> dict[str, str]:
    """Variables that keep in `folder` what a process writes anywhere; compiled kernels are those of the machine."""
    return {"TMPDIR": str(folder), "TAMIZ_CACHE": str(folder / "cache"), "TAMIZ_HUB_CACHE": str(folder / "hub")}
