"""What the system said when a library couldn't write a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from corpora.errors import TamizError

_NUMBER = re.compile(r"\(os error (\d+)\)|errno = (\d+)")  # of safetensors, which is in Rust, and of HDF5
_PROBE = bytes(1 << 20)


def system_error(error: Exception, folder: Path) -> OSError | None:
    """The system's error behind one that a library raised while it wrote files into `folder`; None: there is none.

    numpy only says how much it wrote: then writing goes on, until the system gives its reason.
    """
    if isinstance(error, TamizError):
        return None
    if number := _NUMBER.search(str(error)):
        code = int(number[1] or number[2])
        return OSError(code, os.strerror(code))
    if not isinstance(error, OSError) or error.errno is not None:
        return error if isinstance(error, OSError) else None
    return _probed(folder) or error


def _probed(folder: Path) -> OSError | None:
    """The error of one more write to the largest file."""
    paths = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda path: path.stat().st_size)
    try:
        for path in paths[-1:]:
            with path.open("ab") as file:
                file.write(_PROBE)
    except OSError as error:
        return error
    return None
