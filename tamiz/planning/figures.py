"""The measurements of a rehearsal -> what the stages of the whole run take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tamiz.bars import COMPILING
from tamiz.console import count, size
from tamiz.planning.look import Amounts
from tamiz.planning.planned import PlannedPhase, PlannedStage
from tamiz.planning.rehearsal import LARGE, LARGER, SMALL, WARM
from tamiz.planning.watch import Measured
from tamiz.recipes.figures import figures
from tamiz.recipes.schema import Recipe
from tamiz.stages import Stage
from tamiz.stages.growth import Growth

Quantities = dict[str, float]
_TRAINED = ("flops", "parameters")
COLD_START = "cold start"
KEPT = 1.25  # measured: what allocators keep of the stages before
_MANIFEST = 3  # requests to write: begun, finished, and a look whether it is there


@dataclass(frozen=True)
class Rehearsed:
    """What is known of the whole run, and of its rehearsals by size.

    amounts     stage -> size, or "" for the whole -> how much it reads
    recipes     size, or "" -> the recipe
    measured    by stage and size
    rates       stage -> seconds of processor time to read a byte of text as it is stored, beyond those of the part
    done        the stages that are planned already
    """

    cores: int
    amounts: Mapping[str, Mapping[str, Amounts]]
    recipes: Mapping[str, Recipe]
    measured: Mapping[tuple[str, str], Measured]
    rates: Mapping[str, float]
    done: dict[str, PlannedStage] = field(default_factory=dict)
    _trainings: dict[str, Quantities] = field(default_factory=dict)

    def pair(self, stage: str) -> tuple[Measured | None, Measured | None]:
        """A stage at two sizes, the second as large as it was measured."""
        larger = self.measured.get((stage, LARGER))
        if larger is None or larger.problem:
            larger = self.measured.get((stage, LARGE))
        return self.measured.get((stage, SMALL)), larger

    def training(self, size: str) -> Quantities:
        """FLOPs and parameters of the training of a recipe; none, if it trains nothing."""
        if size not in self._trainings:
            self._trainings[size] = _training(self.recipes[size])
        return self._trainings[size]

    def quantities(self, stage: Stage, size: str) -> Quantities:
        amounts = self.amounts[stage.name][size]
        own = {"text": amounts.text, "documents": amounts.documents, "item": amounts.item}
        return {**own, **(self.training(size) if not stage.reads and stage.name != "lm" else {})}


def _training(recipe: Recipe) -> Quantities:
    """FLOPs with those of validations, which go forward only: a third."""
    found = figures(recipe)
    if found is None:
        return {}
    train = recipe.train
    validations = 2 if not train.validate_every else 1 + math.ceil(train.steps / train.validate_every)
    batches = train.steps + validations * train.validation_batches / 3
    return {"flops": max(found.flops.values()) * found.rows * batches, "parameters": float(found.parameters)}


def planned(stage: Stage, run: Rehearsed) -> PlannedStage:
    """What a stage takes; stages that it maps into memory must have been planned before."""
    small, large = run.pair(stage.name)
    if small is None or large is None:
        return PlannedStage(stage=stage.name, problem="the rehearsal ended before it")
    problem = large.problem or small.problem
    if problem:
        return PlannedStage(stage=stage.name, problem=problem)
    return _Sum(stage, run, small, large).stage_plan()


def cold_start(stage: Stage, run: Rehearsed) -> tuple[float, float]:
    """Seconds, and seconds of processor time, that the first run of a stage took beyond its work: imports and loaded
    kernels, which the run takes as well; not kernels that were compiled, which are kept."""
    warm, (small, large) = run.measured.get((stage.name, WARM)), run.pair(stage.name)
    if warm is None or small is None or large is None or warm.problem:
        return 0.0, 0.0
    x0, x1, x2 = (run.quantities(stage, each.size)["text"] for each in (warm, small, large))
    compiled = warm.phases.get(COMPILING, (0.0, 0.0))
    seconds = Growth().at(x0, (x1, small.seconds), (x2, large.seconds))
    cpu = Growth().at(x0, (x1, small.cpu_seconds), (x2, large.cpu_seconds))
    return max(warm.seconds - compiled[0] - seconds, 0.0), max(warm.cpu_seconds - compiled[1] - cpu, 0.0)


@dataclass(frozen=True)
class _Sum:
    """One stage, measured at two sizes."""

    stage: Stage
    run: Rehearsed
    small: Measured
    large: Measured

    def stage_plan(self) -> PlannedStage:
        phases = self._phases()
        reading = self._reading()
        phases += [reading] if reading else []
        seconds, cpu = cold_start(self.stage, self.run)
        phases.append(PlannedPhase(name=COLD_START, seconds=seconds, cpu_seconds=cpu, grows_with="nothing"))
        memory, said = self._memory()
        disk = self._grown(self.stage.costs.disk, "disk_bytes")
        scratch = self._scratch(disk)
        reads, writes = self._requests()
        return PlannedStage(
            stage=self.stage.name,
            seconds=sum(phase.seconds for phase in phases),
            cpu_seconds=sum(phase.cpu_seconds for phase in phases),
            memory_bytes=int(memory),
            memory=said,
            disk_bytes=int(disk),
            scratch_bytes=int(scratch),
            reads=reads,
            writes=writes,
            phases=phases,
        )

    def _sizes(self, of: str) -> tuple[float, float, float]:
        """A quantity in the small part, the large part and the whole."""
        known = [self.run.quantities(self.stage, size) for size in (SMALL, self.large.size, "")]
        if of in known[0]:
            return known[0][of], known[1][of], known[2][of]
        counted = self.small.quantities.get(of, 0.0), self.large.quantities.get(of, 0.0)
        texts = [each["text"] for each in known]
        law = Growth(law="power")
        return *counted, law.at(texts[2], (texts[0], counted[0]), (texts[1], counted[1]))

    def _phases(self) -> list[PlannedPhase]:
        laws = self.stage.costs.phases(self.run.recipes[""])
        merged = [_by_law(each.phases, laws) for each in (self.small, self.large)]
        return [
            self._phase(name, law, *(each.get(name, (0.0, 0.0)) for each in merged)) for name, law in laws.items()
        ]

    def _phase(self, name: str, law: Growth, small: tuple[float, float], large: tuple[float, float]) -> PlannedPhase:
        x0, x1, x = self._sizes(law.of)
        cores = min(self.run.cores, max(self.run.amounts[self.stage.name][""].items, 1))
        return PlannedPhase(
            name=name,
            seconds=law.at(x, (x0, small[0]), (x1, large[0]), cores),
            cpu_seconds=law.at(x, (x0, small[1]), (x1, large[1])),
            grows_with=f"{law.of} {x:.4g} ({law.law}; measured at {x0:.4g} and {x1:.4g})",
        )

    def _reading(self) -> PlannedPhase | None:
        """What reading the inputs as they are stored takes, beyond reading the part."""
        rate = self.run.rates.get(self.stage.name, 0.0)
        read = self.run.amounts[self.stage.name][""]
        if rate <= 0:
            return None
        shared = any(law.shared for law in self.stage.costs.phases(self.run.recipes[""]).values())
        cpu = rate * read.text
        cores = min(self.run.cores, max(read.items, 1)) if shared else 1
        return PlannedPhase(
            name="unpacking", seconds=cpu / cores, cpu_seconds=cpu, grows_with=f"text {read.text:.4g} (linear)"
        )

    def _grown(self, law: Growth, name: str) -> float:
        x0, x1, x = self._sizes(law.of)
        return law.at(x, (x0, getattr(self.small, name)), (x1, getattr(self.large, name)))

    def _scratch(self, disk: float) -> float:
        """Temporary files grow as the phase that reads does."""
        beside = [float(each.disk_peak - each.disk_bytes) for each in (self.small, self.large)]
        if self.stage.costs.disk.of not in ("text", "documents"):
            return disk * beside[1] / max(self.large.disk_bytes, 1)
        x0, x1, x = self._sizes("text")
        return Growth(law="power").at(x, (x0, beside[0]), (x1, beside[1]))

    def _memory(self) -> tuple[float, str]:
        """The process, the files that it maps, and what grows: of each worker, or of the whole stage."""
        law = self.stage.costs.memory
        warm = self.run.measured.get((self.stage.name, WARM))
        base = warm.memory_after if warm else self.small.memory_before
        mapped = {size: self._mapped(size) for size in (SMALL, self.large.size, "")}
        work = [
            max(each.memory_peak - each.memory_before - mapped[size], 0.0)
            for each, size in ((self.small, SMALL), (self.large, self.large.size))
        ]
        x0, x1, x = self._sizes(law.of)
        one = replace(law, shared=False).at(x, (x0, work[0]), (x1, work[1]))
        workers = self.run.cores if law.shared else 1
        files = f" + {size(mapped[''])} of mapped files" if mapped[""] else ""
        each = f"{workers} x {size(one)}" if law.shared else size(one)
        unit = f" (at {count(round(x))} bytes of text an item)" if law.of == "item" else f" (grows with {law.of})"
        return (
            KEPT * (base + workers * one) + mapped[""],
            f"{KEPT:g} x ({size(base)} + {each}){files}{unit}",
        )

    def _mapped(self, which: str) -> float:
        if not which:
            return float(sum(self.run.done[name].disk_bytes for name in self._maps()))
        there = {name: self.run.measured.get((name, which)) or self.run.pair(name)[1] for name in self._maps()}
        return float(sum(one.disk_bytes for one in there.values() if one))

    def _maps(self) -> list[str]:
        return [name for name in self.stage.costs.maps if name in self.run.done and not self.run.done[name].problem]

    def _requests(self) -> tuple[int, int]:
        """Of a store: a read for each item; files that are written, and a note for each item, are looked at once."""
        whole, part = (self.run.amounts[self.stage.name][size].items for size in ("", self.large.size))
        if not self.stage.reads:
            return 0, 2 * self.large.files
        files = self.large.files * max(whole / max(part, 1), 1)
        return whole, int(2 * (files + whole) + _MANIFEST)


def _by_law(phases: Mapping[str, tuple[float, float]], laws: Mapping[str, Growth]) -> dict[str, tuple[float, float]]:
    """The phases' times, added up by the law that they follow."""
    found: dict[str, tuple[float, float]] = {}
    for name, (seconds, cpu) in phases.items():
        if name == COMPILING:
            continue
        law = next((begin for begin in laws if begin and name.startswith(begin)), "")
        before = found.get(law, (0.0, 0.0))
        found[law] = before[0] + seconds, before[1] + cpu
    return found
