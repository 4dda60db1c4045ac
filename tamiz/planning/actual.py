"""What the stages of a run took, from its log, beside what was planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from corpora import manifest
from corpora.home import Home, Place
from tamiz.console import size
from tamiz.planning.lines import duration
from tamiz.planning.planned import Planned, PlannedStage

HEADER = ("stage", "planned", "took", "ratio", "planned cpu", "took cpu", "ratio", "planned memory", "peak", "ratio")
LEAST_SECONDS = 5.0  # of a stage: of a shorter one, the start is most
NEAR = 0.3  # a ratio is within this of 1


class _Event(msgspec.Struct):
    event: str
    stage: str = ""
    state: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass
class Took:
    """What a stage took in all commands that worked on it. unended: how often it was begun and not finished, whose
    time isn't known."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    unended: int = 0


def took(out: Place) -> dict[str, Took]:
    """By stage, for the stages that a run made in OUT. A torn line, which a kill leaves, is passed over."""
    found: dict[str, Took] = {}
    for event in _events(Home.of(out)):
        if event.event == "stage":
            found.setdefault(event.stage, Took()).unended += 1
        elif event.event == "finished" and event.stage in found:
            stage = found[event.stage]
            stage.unended = max(stage.unended - 1, 0)
            if event.state != "finished":
                stage.seconds += event.seconds
                stage.cpu_seconds += event.cpu_seconds
                stage.memory_bytes = max(stage.memory_bytes, event.peak_memory_bytes)
    return {name: stage for name, stage in found.items() if stage.seconds}


def _events(home: Home) -> Iterator[_Event]:
    try:
        lines = home.read_bytes(manifest.LOG).splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=_Event)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue


@dataclass(frozen=True)
class Compared:
    """A stage as planned, and as it went. Ratios: planned to taken; None if nothing was taken."""

    planned: PlannedStage
    took: Took

    @property
    def seconds(self) -> float | None:
        return _ratio(self.planned.seconds, self.took.seconds)

    @property
    def cpu_seconds(self) -> float | None:
        return _ratio(self.planned.cpu_seconds, self.took.cpu_seconds)

    @property
    def memory(self) -> float | None:
        return _ratio(self.planned.memory_bytes, self.took.memory_bytes)

    @property
    def counts(self) -> bool:
        """Whether the stage took long enough for a ratio to say something."""
        return self.took.cpu_seconds >= LEAST_SECONDS


def _ratio(planned: float, taken: float) -> float | None:
    return planned / taken if taken else None


def compared(plan: Planned, out: Place) -> list[Compared]:
    """The planned stages that the run in OUT has made."""
    taken = took(out)
    return [
        Compared(stage, taken[stage.stage]) for stage in plan.stages if stage.problem is None and stage.stage in taken
    ]


def rows(found: Sequence[Compared]) -> list[Sequence[str]]:
    return [
        (
            one.planned.stage,
            duration(one.planned.seconds),
            duration(one.took.seconds),
            _shown(one.seconds),
            duration(one.planned.cpu_seconds),
            duration(one.took.cpu_seconds),
            _shown(one.cpu_seconds),
            size(one.planned.memory_bytes),
            size(one.took.memory_bytes),
            _shown(one.memory),
        )
        for one in found
    ]


def _shown(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def notes(found: Sequence[Compared]) -> Iterator[str]:
    """What the table leaves open."""
    short = [one.planned.stage for one in found if not one.counts]
    if short:
        yield f"{', '.join(short)}: under {LEAST_SECONDS:.0f} s of processor time, mostly its start"
    for one in found:
        if one.took.unended:
            yield f"{one.planned.stage}: begun {one.took.unended} more times and stopped; that time isn't in the log"
