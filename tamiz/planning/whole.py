"""Plans a run: looks at its inputs, rehearses its stages, and adds up what the whole takes."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from corpora.machine import available_cores
from corpora.stores import temporary
from tamiz.bars import COMPILING
from tamiz.console import size
from tamiz.planning.figures import Rehearsed, cold_start, planned
from tamiz.planning.look import ALL, Amounts, Look, listed, look
from tamiz.planning.planned import Planned
from tamiz.planning.rehearsal import LARGE, LARGER, SCALES, Looks, Spec, parts_of, rehearse
from tamiz.planning.watch import Measured
from tamiz.recipes.schema import Recipe
from tamiz.stages import Stage, ordered

REHEARSED_BYTES = 8_000_000  # of text: with two trainings of tokenizers, a minute or two on two cores
UNLIKE = 1.5  # times as long as those that were read: other documents
FAR = 1000  # times what was rehearsed: beyond, a small error of a rate is a large one


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for. documents, text: of the whole; None: as the inputs are."""

    documents: float | None = None
    text: float | None = None
    cores: int = 1
    rehearsed_bytes: int = REHEARSED_BYTES


def plan_run(recipe: Recipe, asked: Asked, say: Callable[[str], None] = lambda _: None) -> Planned:
    """Raises TamizError for inputs that can't be read, BadArgument for patterns that match nothing."""
    begun = time.monotonic()
    with temporary.local_folder() as folder:
        stages = tuple(stage for stage in ordered() if stage.runs_in(recipe))
        looks = Looks(stages, asked.rehearsed_bytes)
        say(f"looking at the documents of {recipe.name}")
        inputs = looks.at(recipe.inputs)
        whole = _asked_for(inputs.amounts(), inputs, asked)
        recipes = {"": recipe, **parts_of(recipe, looks, folder, whole.documents)}
        reads = {stage.name: _read_by(stage, looks, whole, recipes) for stage in stages}
        say(f"rehearsing {', '.join(stage.name for stage in stages)} on {asked.rehearsed_bytes / 1e6:.3g} MB of text")
        spec = Spec(
            stages=tuple(stage.name for stage in stages),
            recipes={size: recipes[size] for size in SCALES},
            reads={name: amounts[""] for name, amounts in reads.items()},
        )
        measured = rehearse(spec, folder)
        run = Rehearsed(
            asked.cores, _left(stages, reads, measured), recipes, measured, _rates(stages, looks, recipes)
        )
        for stage in stages:
            run.done[stage.name] = planned(stage, run)
        return Planned(
            recipe=recipe.name,
            cores=asked.cores,
            documents=whole.documents,
            text_bytes=whole.text,
            stored_bytes=whole.stored,
            machine=f"{available_cores()} cores, {platform.machine()}, {platform.system()}",
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            rehearsed_bytes=_of_part(recipes[LARGE], stages[0]).text,
            rehearsal_seconds=time.monotonic() - begun,
            cold_start_seconds=sum(cold_start(stage, run)[0] for stage in stages),
            compiling_seconds=sum(each.phases.get(COMPILING, (0.0, 0.0))[0] for each in measured.values()),
            stages=list(run.done.values()),
            uncertain=_uncertain(inputs, whole, asked, run),
        )


def _asked_for(listed: Amounts, looked: Look, asked: Asked) -> Amounts:
    """The amounts of the whole: what is asked for, else what is listed."""
    if asked.documents is None and asked.text is None:
        return listed
    text = asked.text if asked.text is not None else (asked.documents or 0) * looked.mean
    documents = asked.documents if asked.documents is not None else text / looked.mean
    times = text / max(listed.text, 1)
    return Amounts(
        documents=documents,
        text=text,
        files=max(1, round(listed.files * times)),
        items=max(1, round(listed.items * times)),
        stored=listed.stored * times,
        item=min(listed.item, text),
    )


def _read_by(stage: Stage, looks: Looks, whole: Amounts, recipes: dict[str, Recipe]) -> dict[str, Amounts]:
    """What a stage reads, by size; "" is the whole. What earlier stages leave out is still in it."""
    sizes = {size: _of_part(recipes[size], stage) for size in SCALES}
    own = stage.costs.reads
    if own is None:
        return {"": whole, **sizes}
    found = [looks.at(inputs).amounts(share) for inputs, share in own(recipes[""])]
    return {"": _sum(found), **sizes}


def _of_part(recipe: Recipe, stage: Stage) -> Amounts:
    """Of a part, all is read."""
    own = stage.costs.reads
    inputs = [recipe.inputs] if own is None else [given for given, _ in own(recipe)]
    return _sum([look(listed(given), ALL).amounts() for given in inputs])


def _sum(found: Sequence[Amounts]) -> Amounts:
    names = ("documents", "text", "files", "items", "stored")
    sums = {name: sum(getattr(one, name) for one in found) for name in names}
    return Amounts(**sums, item=max((one.item for one in found), default=0.0))


def _left(
    stages: Sequence[Stage], reads: dict[str, dict[str, Amounts]], measured: Mapping[tuple[str, str], Measured]
) -> dict[str, dict[str, Amounts]]:
    """What each stage reads of what the stages before it leave: between the rehearsed sample's share of documents and
    its share of text, which is too small, as the small model of the rehearsal prefers short documents."""
    left, found = 1.0, {}
    for stage in stages:
        whole, times = reads[stage.name][""], 1.0 if stage.costs.reads else left
        fewer = {name: getattr(whole, name) * times for name in ("documents", "text", "stored", "item")}
        found[stage.name] = {**reads[stage.name], "": replace(whole, **fewer)}
        last = measured.get((stage.name, LARGER)) or measured.get((stage.name, LARGE))
        left *= math.sqrt(last.left * last.left_documents) if last else 1.0
    return found


def _rates(stages: Sequence[Stage], looks: Looks, recipes: Mapping[str, Recipe]) -> dict[str, float]:
    """Seconds of processor time that a byte of text takes to read as it is stored, beyond what it takes in the part;
    of the stages that read the inputs themselves."""
    part = looks.at(recipes[LARGER].inputs).rate
    found, sampled = {}, False
    for stage in stages:
        if stage.costs.reads:
            own = [(looks.at(inputs).rate, share) for inputs, share in stage.costs.reads(recipes[""])]
            found[stage.name] = sum(rate / share - part for rate, share in own) / max(len(own), 1)
        elif stage.reads and not sampled:
            found[stage.name] = looks.at(recipes[""].inputs).rate - part
        sampled = sampled or stage.leaves is not None
    return found


def _uncertain(looked: Look, whole: Amounts, asked: Asked, run: Rehearsed) -> list[str]:
    """What may make the plan wrong."""
    found = []
    if not looked.exact:
        found.append("no item was read to its end: how much text the files hold is concluded from their beginnings")
    mean = whole.text / max(whole.documents, 1)
    if not 1 / UNLIKE < mean / looked.mean < UNLIKE:
        found.append(
            f"documents of {mean:,.0f} bytes are asked for, but those that were read have {looked.mean:,.0f}: short "
            "ones take longer a byte"
        )
    if whole.text > FAR * asked.rehearsed_bytes:
        found.append(
            f"{size(whole.text)} are {whole.text / asked.rehearsed_bytes:,.0f} times what was rehearsed "
            "(--sample-bytes rehearses more)"
        )
    if asked.cores > available_cores():
        found.append(f"{asked.cores} cores are taken to be as fast as the {available_cores()} of this machine")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > available_cores() + 1:
        found.append(
            f"this machine is busy (load {busy:.1f}): seconds of its clock are too many; cpu_seconds are not"
        )
    if run.recipes[""].train is not None:
        found.append("the training is that of this machine: a GPU elsewhere takes another time")
        if run.recipes[LARGE].model != run.recipes[""].model:
            found.append("the model is too large to rehearse: fewer layers were, and FLOPs tell the rest")
    return [
        *found,
        *(f"{stage.stage} is not planned: {stage.problem}" for stage in run.done.values() if stage.problem),
    ]
