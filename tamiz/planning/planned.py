"""The plan of a run as it is saved, plan.json: what each stage will take."""

from __future__ import annotations

import msgspec

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.home import Home, Place

VERSION = 1


class PlannedPhase(msgspec.Struct, frozen=True, kw_only=True):
    """A phase of a stage. name: as on the bar; empty for the work between phases."""

    name: str
    seconds: float
    cpu_seconds: float
    grows_with: str
    """A quantity, its size in the run, and the two sizes that were measured."""


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage will take. seconds: of a clock, with the plan's cores; cpu_seconds: of all cores together."""

    stage: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    memory: str = ""
    """How that sum is made."""
    disk_bytes: int = 0
    scratch_bytes: int = 0
    """Of temporary files, at their fullest, besides the files that stay."""
    reads: int = 0
    """Requests, where the inputs are in a store or on the Hub: one for each work item of each pass."""
    writes: int = 0
    """Requests, where the output is in a store: a file, or the note on an item, takes one to write, one to check."""
    phases: list[PlannedPhase] = []
    problem: str | None = None
    """Why it isn't known."""

    @property
    def hours(self) -> float:
        return self.seconds / 3600


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. documents, text_bytes: of all inputs."""

    version: int = VERSION
    recipe: str
    cores: int
    documents: float
    text_bytes: float
    stored_bytes: float
    machine: str
    made: str
    """When, in UTC."""
    rehearsed_bytes: float
    """Of text."""
    rehearsal_seconds: float
    cold_start_seconds: float
    """Imports and loaded kernels, once a run; in the stages' seconds."""
    compiling_seconds: float = 0.0
    """What kernels took that had to be compiled: once a machine, in no stage's seconds."""
    stages: list[PlannedStage]
    uncertain: list[str]

    @property
    def slowest(self) -> PlannedStage | None:
        return max(self.stages, key=lambda stage: stage.seconds, default=None)


def encoded(plan: Planned) -> bytes:
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def save(plan: Planned, out: Place) -> str:
    """Writes OUT/plan.json, which no manifest lists; returns where it is."""
    home = Home.of(out)
    home.write_bytes(manifest.PLAN, encoded(plan))
    return home.at(manifest.PLAN)


def read(out: Place) -> Planned | None:
    """The plan that OUT holds; None if there is none. Raises DamagedFile."""
    home = Home.of(out)
    try:
        return msgspec.json.decode(home.read_bytes(manifest.PLAN), type=Planned)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(
            f"{home.at(manifest.PLAN)} is no plan of tamiz ({error}): remove it, or make it again"
        ) from None
