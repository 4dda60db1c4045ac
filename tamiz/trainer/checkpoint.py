"""Checkpoints: one file each, written atomically; the last two are kept."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from corpora import changes, files
from corpora.errors import DamagedFile, StaleOutput, TamizError

FOLDER = "checkpoints"
KEEP = 2
_NAME = re.compile(r"step-(\d{8})\.pt")


def save(out: Path, step: int, state: dict[str, Any]) -> Path:
    """Writes OUT/checkpoints/step-NNNNNNNN.pt atomically, then removes all but the last KEEP.

    Raises TamizError if it can't be written.
    """
    path = out / FOLDER / f"step-{step:08d}.pt"
    with files.atomic_path(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch raises this for a full disk
            raise TamizError(f"can't write {path}: {str(error).splitlines()[0]}") from error
    for old in found(out)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def found(out: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(p for p in (out / FOLDER).glob("step-*.pt") if _NAME.fullmatch(p.name))


def load_latest(out: Path, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """The newest checkpoint, on the CPU, or None if there is none.

    Raises StaleOutput if its settings or inputs differ from `made_from`, naming the differences; DamagedFile if it
    can't be read.
    """
    paths = found(out)
    if not paths:
        return None
    try:
        state: dict[str, Any] = torch.load(paths[-1], map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise DamagedFile(f"{paths[-1]} is damaged: remove it to resume from the previous checkpoint") from error
    _require_same(paths[-1], state["made_from"], made_from)
    return state


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = changes.differences(old, new)
    if changed:
        raise StaleOutput(
            f"{path} is from a different training ({changed}): start again with --rebuild, or choose another --out"
        )
