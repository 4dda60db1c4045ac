"""Where the engines are: unpacked once from shared/engines, for all tests on this machine."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import SHARED

PACKED = SHARED / "engines"


def missing() -> str | None:
    """Why no engine can be started here."""
    if not (PACKED / "unpack.py").exists():
        return "no ../shared/engines beside the checkout"
    return None if shutil.which("java") else "no java on PATH"


@functools.cache
def engines() -> Path:
    """The folder of the unpacked engines: TAMIZ_ENGINES, or one for all sessions below the temporary folder.

    Skips the test where the packed engines or Java are missing.
    """
    if reason := missing():
        pytest.skip(reason)
    folder = Path(os.environ.get("TAMIZ_ENGINES") or Path(tempfile.gettempdir()) / f"tamiz-engines-{os.getuid()}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two sessions at once unpack it once
        subprocess.run([sys.executable, str(PACKED / "unpack.py"), str(folder)], check=True)
    return folder


def jar(engine: str) -> Path:
    """Beam's job server of an engine."""
    return engines() / f"{engine}-job-server.jar"


def prism() -> Path:
    return engines() / "bin" / "prism"
