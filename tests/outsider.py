"""An outsider: a folder beside tamiz with a module of docs/extending, which TAMIZ_EXTENSIONS names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests import warm
from tests.conftest import ROOT

EXTENDING = ROOT / "docs" / "extending"


def copy_toy(name: str, folder: Path) -> Path:
    """The module that the page on extending shows, as an outsider's own file."""
    return Path(shutil.copy(EXTENDING / f"{name}.py", folder))


def python(
    folder: Path, *arguments: object, extensions: str, text: str | None = None, libraries: Sequence[str] = warm.DATA
) -> subprocess.CompletedProcess[str]:
    """Python, started in `folder`, with its modules and those of tamiz on the path. text: its standard input."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "TAMIZ_EXTENSIONS": extensions}
    return warm.run(arguments, cwd=folder, env=environment, text=text, libraries=libraries, quick_plots=True)


def tamiz(
    folder: Path, *arguments: object, extensions: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """A command as an outsider types it in `folder`."""
    libraries = warm.TORCH if arguments[0] in {"export", "generate", "train"} else warm.DATA
    return python(folder, "-m", "tamiz", *arguments, extensions=extensions, text=text, libraries=libraries)
