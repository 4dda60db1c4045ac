"""The process that rehearses: `python -m tamiz.planning FOLDER` runs the stages of FOLDER/spec.pickle, size by size.

It writes a line for each stage to FOLDER/measured.jsonl. What the stages print is of no interest.
"""

from __future__ import annotations

import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpora.documents.reading import read_texts
from corpora.documents.sources import DocumentSource
from corpora.errors import TamizError, in_a_line
from tamiz.planning.rehearsal import MEASURED, SPEC, Spec
from tamiz.planning.watch import Measured, watched
from tamiz.stages import Context, Plan, Stage, ordered


@dataclass(frozen=True)
class _Rehearsed(Plan):
    """Every stage reads the whole part, whatever the stage before it left of it: a sample of it would be too small."""

    def documents(self, name: str) -> list[DocumentSource]:  # noqa: ARG002
        return self.recipe.inputs


def main(folder: Path) -> None:
    spec: Spec = pickle.loads((folder / SPEC).read_bytes())  # noqa: S301 (the parent has just written it)
    known = {stage.name: stage for stage in ordered()}
    stages = tuple(known[name] for name in spec.stages)
    for name, read in spec.text.items():
        known[name].costs.as_large(read)
    with (folder / MEASURED).open("wb") as file:
        for size, recipe in spec.recipes.items():
            plan = _Rehearsed(recipe, folder / size / "out", stages)
            for stage in stages:
                file.write(msgspec.json.encode(_measured(stage, plan, size)) + b"\n")
                file.flush()


def _measured(stage: Stage, plan: Plan, size: str) -> Measured:
    measured = Measured(stage=stage.name, size=size)
    folder = plan.folder(stage.name)
    try:
        with watched(measured, folder):
            report = stage.run(plan, Context(max_rejected=1.0))
        measured.quantities = dict(stage.costs.counts(report))
        if stage.leaves is not None:
            left = [DocumentSource(input=tuple(stage.leaves(plan)))]
            measured.left = _text(plan, left) / max(_text(plan, plan.documents(stage.name)), 1)
    except TamizError as error:
        measured.problem = in_a_line(error)
    except Exception as error:  # a plan of the other stages is still worth having
        measured.problem = f"{type(error).__name__}: {in_a_line(error)}"
    return measured


def _text(plan: Plan, documents: list[DocumentSource]) -> int:
    """Bytes of text of some documents."""
    return sum(len(batch.texts.data) for item in plan.items(documents) for batch in read_texts(item))


if __name__ == "__main__":
    started = time.monotonic()
    main(Path(sys.argv[1]))
