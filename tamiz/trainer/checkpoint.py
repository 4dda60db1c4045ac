"""Checkpoints: one file each, written atomically. The last ones are kept while a training runs, and the last one
afterwards, so that more steps can continue it."""

from __future__ import annotations

import logging
import pickle
import re
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

from corpora import changes, files, manifest
from corpora.errors import DamagedFile, StaleOutput, TamizError, in_a_line
from corpora.manifest import MadeFrom
from tamiz.trainer.schedule import is_endless
from tamiz.trainer.settings import FREE

_LOG = logging.getLogger(__name__)
FOLDER = "checkpoints"
TRAIN = "train."
STEPS = f"{TRAIN}steps"
_NAME = re.compile(r"step-(\d{8})\.pt")


def save(out: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Writes OUT/checkpoints/step-NNNNNNNN.pt atomically; once it is on the disk, removes all but the last `keep` up
    to this step. A later one is damaged: else the training would have continued from it.

    Raises TamizError if it can't be written; then the previous checkpoints are still there.
    """
    import torch

    path = out / FOLDER / f"step-{step:08d}.pt"
    with files.atomic_path(path) as temporary:
        try:
            with temporary.open("wb") as file:  # given a path, torch would write the temporary name into the file
                torch.save(state, file)
        except (RuntimeError, OSError) as error:  # torch raises the first if it can't write
            temporary.unlink(missing_ok=True)
            raise _cannot_write(path, state, error) from error
    steps = found(out)
    kept = [each for each in steps if number(each) <= step][-keep:]
    for other in steps:
        if other not in kept:
            other.unlink(missing_ok=True)
    return path


def _cannot_write(path: Path, state: dict[str, Any], error: RuntimeError | OSError) -> TamizError:
    causes = (error, error.__context__)
    cause = next((e for e in causes if isinstance(e, OSError)), OSError(str(error).partition("\n")[0]))
    kept = found(path.parents[1])
    advice = f"the same command continues from step {number(kept[-1]):,}" if kept else ""
    return files.cannot_write(path, cause, num_bytes(state), advice=advice)


def num_bytes(state: Any) -> int:
    """The bytes of the tensors in a state, those that share memory once: nearly all of a checkpoint's size."""
    import torch

    storages: dict[int, int] = {}
    waiting = [state]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return sum(storages.values())


def found(out: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(p for p in (out / FOLDER).glob("step-*.pt") if _NAME.fullmatch(p.name))


def number(path: Path) -> int:
    """The step of a checkpoint."""
    return int(path.stem.removeprefix("step-"))


def load_latest(out: Path, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """The newest checkpoint, on the CPU, or None if there is none. Its tensors lie in the file until they are copied.
    If it is damaged, the one before it; a warning says so.

    Raises StaleOutput if its settings or inputs differ from `made_from`, naming the differences: only what a training
    that is continued may change, and the number of steps, if the schedule allows it; DamagedFile if all are damaged.
    """
    paths = found(out)
    damaged: list[Path] = []
    for path in reversed(paths):
        try:
            state = _load(path)
        except DamagedFile as error:
            _LOG.warning("%s", error)
            damaged.append(path)
            continue
        _require_same(path, state["made_from"], made_from)
        if damaged:
            _LOG.warning("the training continues from the checkpoint of step %s instead", f"{number(path):,}")
        return state
    if damaged:
        raise DamagedFile(
            f"{damaged[-1]} is damaged, and no other checkpoint is left: pass --rebuild to train from the first step"
        )
    return None


def _load(path: Path) -> dict[str, Any]:
    """Raises DamagedFile if a byte of the file isn't as it was written: torch itself doesn't look at each."""
    import torch

    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
        state: dict[str, Any] = {} if bad else torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError, pickle.UnpicklingError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as e:
        raise DamagedFile(f"{path} is damaged ({in_a_line(e)})") from e
    if bad:
        raise DamagedFile(f"{path} is damaged (wrong checksum of {bad})")
    return state


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    train = {name.removeprefix(TRAIN): value for name, value in new.items() if name.startswith(TRAIN)}
    free = {f"{TRAIN}{name}" for name in FREE}
    free |= {STEPS} if is_endless(train) and new[STEPS] >= number(path) else set()
    changed = changes.differences(*({k: v for k, v in made.items() if k not in free} for made in (old, new)))
    if changed:
        raise StaleOutput(
            f"{path} is from a different training ({changed}): start again with --rebuild, or choose another --out"
        )


def settle(out: Path, made_from: MadeFrom, *, keep: bool) -> None:
    """After a finished training: leaves only its last checkpoint, with a manifest of its own; or nothing."""
    folder, kept = out / FOLDER, found(out)
    if not keep or not kept:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.name not in (kept[-1].name, manifest.NAME):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    origin = MadeFrom(stage="checkpoint", algorithm=1, settings={"train": made_from.fingerprint()}, inputs=[])
    if not manifest.is_finished(folder, origin):
        unsettle(out)
        manifest.claim(folder, origin)
        manifest.finish(folder, records=[manifest.record(folder, kept[-1])])


def unsettle(out: Path) -> None:
    """Before more steps: the manifest of the last checkpoint goes."""
    (out / FOLDER / manifest.NAME).unlink(missing_ok=True)
