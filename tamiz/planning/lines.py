"""A plan as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tamiz.console import count, size
from tamiz.planning.planned import Planned, PlannedStage

HEADER = ("stage", "hours", "", "core hours", "memory", "disk", "scratch", "reads", "writes")
_UNITS = ((86_400 * 2, 86_400, "days"), (3600, 3600, "h"), (60, 60, "min"), (0, 1, "s"))


def duration(seconds: float) -> str:
    """3.2 s, 14 min, 5.3 h, 12 days."""
    unit, name = next((unit, name) for least, unit, name in _UNITS if seconds >= least)
    return f"{seconds / unit:.3g} {name}"


def rows(plan: Planned) -> list[Sequence[str]]:
    """One for each stage, then the totals: the most memory, and the disk of all."""
    known = [stage for stage in plan.stages if stage.problem is None]
    total = PlannedStage(
        stage="in all",
        seconds=sum(stage.seconds for stage in known),
        cpu_seconds=sum(stage.cpu_seconds for stage in known),
        memory_bytes=max((stage.memory_bytes for stage in known), default=0),
        disk_bytes=sum(stage.disk_bytes for stage in known),
        scratch_bytes=max((stage.scratch_bytes for stage in known), default=0),
        reads=sum(stage.reads for stage in known),
        writes=sum(stage.writes for stage in known),
    )
    return [_row(stage) for stage in (*plan.stages, total)]


def _row(stage: PlannedStage) -> Sequence[str]:
    if stage.problem is not None:
        return (stage.stage, "?", "not planned", *[""] * (len(HEADER) - 3))
    return (
        stage.stage,
        f"{stage.hours:.3g}",
        duration(stage.seconds),
        f"{stage.cpu_seconds / 3600:.3g}",
        *map(size, (stage.memory_bytes, stage.disk_bytes, stage.scratch_bytes)),
        *map(count, (stage.reads, stage.writes)),
    )


def notes(plan: Planned) -> Iterator[str]:
    """What the table doesn't say."""
    slowest = plan.slowest
    if slowest and slowest.seconds:
        longest = max(slowest.phases, key=lambda phase: phase.seconds)
        yield f"the slowest stage will be {slowest.stage}: {duration(slowest.seconds)}" + (
            f", of which {longest.name or 'reading and working'} {duration(longest.seconds)}"
        )
    cold = f"cold starts (imports), once a run, in these times: {duration(plan.cold_start_seconds)}"
    compiled = f"; compiling kernels, once a machine: {duration(plan.compiling_seconds)}"
    yield cold + (compiled if plan.compiling_seconds else "")
    for stage in plan.stages:
        if stage.memory:
            yield f"memory of {stage.stage}: {stage.memory}"
    yield (
        f"measured in {duration(plan.rehearsal_seconds)} on {size(plan.rehearsed_bytes)} of text "
        f"({plan.machine}); requests are those to a store or the Hub"
    )
    yield from (f"uncertain: {line}" for line in plan.uncertain)


def title(plan: Planned) -> str:
    read = f"{count(round(plan.documents))} documents, {size(plan.text_bytes)} of text"
    return f"{plan.recipe}: {read}, {plan.cores} core{'' if plan.cores == 1 else 's'}"
