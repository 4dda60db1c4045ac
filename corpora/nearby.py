"""What to say of a folder that isn't the one that is needed: a typing error, or a run where a stage's is meant."""

from __future__ import annotations

import msgspec

from corpora.home import Home

_SHOWN = 3
_DEPTH = 2


class _Said(msgspec.Struct):
    stage: str = ""


def absent(home: Home, name: str) -> str:
    """Why a folder has no manifest `name`."""
    if not home.is_folder():
        return f"{home} doesn't exist: check its name"
    return f"{home} has no {name}: it was not made by tamiz, or not finished"


def inside(home: Home, name: str) -> list[str]:
    """The folders directly inside that have a manifest `name`, in order."""
    if home.is_local:  # without a look at each file below
        return sorted(path.parent.name for path in home.folder.glob(f"*/{name}"))
    return sorted(
        path.partition("/")[0] for path in home.entries() if path.count("/") == 1 and path.endswith(f"/{name}")
    )


def hint(home: Home, name: str, stage: str) -> str:
    """`: name FOLDER/shards`, with the folders inside whose manifest `name` is of `stage`; empty if there are none.

    A run's shards by source are one level deeper.
    """
    inside = [path for path in home.entries() if path.endswith(f"/{name}") and path.count("/") <= _DEPTH]
    inside.sort(key=lambda path: (path.count("/"), path))
    found = [home.at(path.removesuffix(f"/{name}")) for path in inside if _stage_of(home, path) == stage]
    more = ", ..." if len(found) > _SHOWN else ""
    return f": name {' or '.join(found[:_SHOWN])}{more}" if found else ""


def _stage_of(home: Home, name: str) -> str:
    try:
        return msgspec.json.decode(home.read_bytes(name), type=_Said).stage
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
