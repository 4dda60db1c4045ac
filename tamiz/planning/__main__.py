"""The process that rehearses: `python -m tamiz.planning FOLDER` runs the stages of FOLDER/spec.pickle, size by size.

It writes a line for each stage to FOLDER/measured.jsonl. What the stages print is of no interest.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpora.documents.reading import read_texts
from corpora.documents.sources import DocumentSource
from corpora.errors import TamizError, in_a_line
from tamiz.planning.rehearsal import LARGE, LARGER, MEASURED, QUICK, SPEC, Spec
from tamiz.planning.watch import Measured, watched
from tamiz.stages import Context, Plan, Stage, ordered


@dataclass(frozen=True)
class _Rehearsed(Plan):
    """Every stage reads the whole part, whatever an earlier stage left of it: a sample of it would be too small."""

    def documents(self, name: str) -> list[DocumentSource]:  # noqa: ARG002
        return self.recipe.inputs


def main(folder: Path) -> None:
    spec: Spec = pickle.loads((folder / SPEC).read_bytes())
    known = {stage.name: stage for stage in ordered()}
    stages = tuple(known[name] for name in spec.stages)
    for name, read in spec.reads.items():
        known[name].costs.as_large(read.text, read.stored)
    with (folder / MEASURED).open("wb") as file:
        quick: set[str] = set()
        for size, recipe in spec.recipes.items():
            out = folder / size / "out"
            plan = _Rehearsed(recipe, out, stages)
            for stage in stages:
                if size == LARGER and stage.name not in quick:
                    _take_over(stage, folder / LARGE / "out", out)
                    continue
                measured = _measured(stage, plan, size)
                file.write(msgspec.json.encode(measured) + b"\n")
                file.flush()
                if size == LARGE and stage.reads and not measured.problem and measured.cpu_seconds < QUICK:
                    quick.add(stage.name)


def _take_over(stage: Stage, old: Path, new: Path) -> None:
    """What a slow stage made of the large part serves the quick stages after it."""
    new.mkdir(parents=True, exist_ok=True)
    if (old / stage.folder).exists():
        (new / stage.folder).symlink_to(old / stage.folder)


def _measured(stage: Stage, plan: Plan, size: str) -> Measured:
    measured = Measured(stage=stage.name, size=size)
    folder = Path(str(plan.folder(stage.name)))
    try:
        with watched(measured, folder):
            report = stage.run(plan, Context(max_rejected=1.0))
        measured.quantities = dict(stage.costs.counts(report))
        if stage.leaves is not None:
            left = [DocumentSource(input=tuple(stage.leaves(plan)))]
            (text, documents), (all_text, every) = _held(plan, left), _held(plan, plan.documents(stage.name))
            measured.left, measured.left_documents = text / max(all_text, 1), documents / max(every, 1)
    except TamizError as error:
        measured.problem = in_a_line(error)
    except Exception as error:  # a plan of the other stages is still worth having
        measured.problem = f"{type(error).__name__}: {in_a_line(error)}"
    return measured


def _held(plan: Plan, sources: list[DocumentSource]) -> tuple[int, int]:
    """Bytes of text, and documents."""
    held = [(len(batch.texts.data), len(batch.texts)) for item in plan.items(sources) for batch in read_texts(item)]
    return sum(text for text, _ in held), sum(documents for _, documents in held)


def _end_with(parent: int) -> None:
    """A rehearsal whose parent is killed ends, too."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    main(Path(sys.argv[1]))
