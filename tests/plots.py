"""For tests that make plots without looking at them: all is drawn but the pixels, which take most of the time."""

from __future__ import annotations

import base64
from pathlib import Path

BLANK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)


def blank(_figure: object, path: Path, **_: object) -> None:
    """In place of a figure's `savefig`."""
    path.write_bytes(BLANK)
