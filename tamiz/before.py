"""What a run is going to do, said before any work: stages, what is read, about how much is written, steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.files import is_local
from corpora.home import Home
from corpora.hub.opening import room_folder
from corpora.machine import free_bytes
from pipelines.room import room_needed
from tamiz.console import count, size
from tamiz.log import without_secret
from tamiz.stages import Plan, Stage
from tamiz.stages.common import Reading

MARGIN = 3  # estimates may be wrong by this factor before a run is refused


def lines(plan: Plan, chosen: Sequence[Stage], items: Sequence[WorkItem]) -> Iterator[str]:
    """Yields the lines. Raises TamizError if the disk is clearly too small."""
    yield f"{plan.recipe.name} in {plan.out}: {', '.join(stage.name for stage in chosen)}"
    read = Reading.of(items)
    if items:
        yield f"  documents: {described(items)}"
    left, needed = read.text_bytes, 0
    for stage in chosen:
        if stage.writes is not None:
            written, left = stage.writes(plan, left)
            needed += written
        if stage.announces is not None:
            yield from (f"  {stage.name}: {line}" for line in stage.announces(plan))
    if Home.of(plan.out).is_local:
        yield from _disk(plan.out, needed)


def described(items: Sequence[WorkItem]) -> str:
    """`1,024 files, 1.0 TB to read, over the network from hf://datasets/allenai/c4`, and how to name other files."""
    read = Reading.of(items)
    total = [read.named]
    if read.bytes:
        total.append(f"{size(read.bytes)} to read")
    if read.unknown:
        total.append(f"{count(read.unknown)} of unknown size")
    remote = next((item.path for item in items if not is_local(item.path)), None)
    if remote:
        place = "/".join(without_secret(remote).split("/")[:5])
        total.append(f"over the network from {place} (--set documents.input=PATTERN names other files)")
    needed = room_needed(items, 1)
    if needed:
        total.append(f"each fetched whole to {room_folder()}, up to {size(needed)} for each worker")
    return ", ".join(total)


def _disk(out: Path, needed: int) -> Iterator[str]:
    needed = max(needed - _size_of(out), 0)
    if not needed:
        return
    free = free_bytes(out)
    text = f"about {size(needed)} will be written to {out}, where {size(free)} are free"
    if needed > MARGIN * free:
        raise TamizError(f"{text}: choose an --out on another disk, or fewer documents")
    yield f"  disk: {text}"


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder that may not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
