"""What to say of a folder that isn't the one that is needed: a typing error, or a run where a stage's is meant."""

from __future__ import annotations

from pathlib import Path

import msgspec

_SHOWN = 3


class _Said(msgspec.Struct):
    stage: str = ""


def absent(folder: Path, name: str) -> str:
    """Why `folder` has no manifest `name`."""
    if not folder.exists():
        return f"{folder} doesn't exist: check its name"
    return f"{folder} has no {name}: it was not made by tamiz, or not finished"


def hint(folder: Path, name: str, stage: str) -> str:
    """`: name FOLDER/shards`, with the folders inside whose manifest `name` is of `stage`; empty if there are none.

    A run's shards by source are one level deeper.
    """
    homes = [*sorted(folder.glob(f"*/{name}")), *sorted(folder.glob(f"*/*/{name}"))]
    found = [str(path.parent) for path in homes if _stage_of(path) == stage]
    more = ", ..." if len(found) > _SHOWN else ""
    return f": name {' or '.join(found[:_SHOWN])}{more}" if found else ""


def _stage_of(path: Path) -> str:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Said).stage
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
