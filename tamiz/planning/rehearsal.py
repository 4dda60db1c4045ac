"""Rehearses a recipe: its own stages and settings, on parts of its own documents, in a process of its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from corpora.documents.sources import DocumentSource, Inputs
from corpora.errors import TamizError
from tamiz.planning.look import Amounts, Look, listed, look, write_part
from tamiz.planning.watch import Measured
from tamiz.recipes.schema import Recipe
from tamiz.stages import Stage
from tamiz.stages.common import Part

SPEC, MEASURED, ERRORS = "spec.pickle", "measured.jsonl", "errors.txt"
WARM, SMALL, LARGE, LARGER = "warm", "small", "large", "larger"
SCALES = {WARM: 1 / 32, SMALL: 1 / 4, LARGE: 1.0, LARGER: 4.0}
"""The first size imports and compiles what the others need, and isn't measured. The last is for quick stages only."""
QUICK = 4.0  # seconds of processor time for the large part: below, the rate is lost in the fixed part


@dataclass(frozen=True)
class Spec:
    """What the rehearsing process is told. reads: stage -> what it will read in the whole run."""

    stages: tuple[str, ...]
    recipes: Mapping[str, Recipe]
    reads: Mapping[str, Amounts]


@dataclass
class Looks:
    """The looks at all inputs of a recipe, each taken once."""

    stages: Sequence[Stage]
    unit: int
    """Bytes of text of the large part."""
    _taken: dict[tuple[object, ...], Look] = field(default_factory=dict)

    def at(self, inputs: Inputs) -> Look:
        key = tuple(inputs)
        if key not in self._taken:
            self._taken[key] = look(listed(inputs), int(self.unit * max(SCALES.values())))
        return self._taken[key]


def parts_of(recipe: Recipe, looks: Looks, folder: Path, documents: float) -> dict[str, Recipe]:
    """The recipe as it is rehearsed, by size. documents: of the whole run."""
    return {size: _part(recipe, looks, folder / size, scale, documents) for size, scale in SCALES.items()}


def _part(recipe: Recipe, looks: Looks, folder: Path, scale: float, documents: float) -> Recipe:
    written = 0

    def sources(inputs: Inputs) -> list[DocumentSource]:
        """Files of a part of the inputs, which keep their names: those may tell their language."""
        nonlocal written
        place = folder / "inputs" / f"{written}"
        written += 1
        write_part(looks.at(inputs).rows, place, looks.unit * scale)
        return [DocumentSource(input=(f"{place}/*.jsonl",))]

    read: list[DocumentSource] = []
    count = 0
    for source in recipe.inputs:
        place = folder / "documents" / f"{len(read)}"
        share = 1 / len(recipe.inputs)
        count += write_part(looks.at([source]).rows, place, looks.unit * scale * share)
        language = source.language_of_documents
        read.append(DocumentSource(input=(f"{place}/*.jsonl",), name=source.name, language=language))
    recipe = replace(recipe, documents=tuple(read))
    part = Part(share=min(count / max(documents, 1), 1.0), scale=scale, sources=sources)
    for stage in looks.stages:
        recipe = stage.costs.rehearsed(recipe, part)
    return recipe


def rehearse(spec: Spec, folder: Path) -> dict[tuple[str, str], Measured]:
    """Runs it; returns what was measured by stage and size. Raises TamizError if the process died."""
    (folder / SPEC).write_bytes(pickle.dumps(spec))
    with (folder / ERRORS).open("wb") as errors:
        ended = subprocess.run(
            [sys.executable, "-m", "tamiz.planning", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            check=False,
        )
    found = _read(folder / MEASURED)
    if ended.returncode and not found:
        said = (folder / ERRORS).read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise TamizError(f"the rehearsal ended with exit code {ended.returncode}: {said[-1]}")
    return {(one.stage, one.size): one for one in found}


def _read(path: Path) -> Sequence[Measured]:
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(line, type=Measured) for line in lines]
