"""The type of a stage, and what stages take and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.listing import list_files
from corpora.documents.sources import DocumentSource, Inputs
from corpora.errors import TamizError, TooManyRejected
from corpora.files import is_local
from corpora.home import Home, Place
from corpora.manifest import Manifest
from pipelines.settings import RunnerSettings
from tamiz.console import count
from tamiz.options import MAX_REJECTED
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.growth import ONE_ITEM, TEXT, Growth

EXPANDED = 3.0  # bytes of text in a compressed byte, about: 2.5 for .gz, 4 for .zst


class FinishedWithDamage(TamizError):
    """Every readable row was processed, but some input files are damaged."""


@dataclass(frozen=True)
class Context:
    """How to run. These settings don't change the output. stop_at: when a training pauses, on time.monotonic()'s
    clock."""

    runner: RunnerSettings = field(default_factory=RunnerSettings)
    rebuild: bool = False
    max_rejected: float = MAX_REJECTED
    stop_at: float | None = None


@dataclass(frozen=True)
class StageReport:
    """A finished stage.

    state       new, continued or finished (nothing to do)
    rows        (name, value) pairs for the summary
    damaged     input files that are damaged
    too_many    a message if more rows were rejected than allowed; like `damaged`, it leads to exit code 1
    """

    stage: str
    state: str
    folder: Place
    rows: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()
    damaged: Sequence[str] = ()
    too_many: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part of a recipe's documents, on which `tamiz plan` rehearses its stages.

    share       its documents, of all documents
    scale       its size, of the large part, on which all stages are rehearsed
    sources     inputs -> the part of them, as files of JSON lines
    """

    share: float
    scale: float
    sources: Callable[[Inputs], list[DocumentSource]]


@dataclass(frozen=True)
class Costs:
    """What `tamiz plan` must know of a stage, besides what it measures; a stage that says nothing costs what grows
    with the text that it reads, and the cores share it.

    phases      how the seconds of each phase grow, by the beginning of its name on the bar; "": all others
    memory      how the peak memory grows, beyond what any process of tamiz takes; shared: each worker takes it
    disk        how the bytes that are written grow
    maps        stages whose files are mapped into memory
    reads       the inputs that it reads, each with the share of documents used, if not those of the run
    counts      quantities that only the work tells; they grow with the text by a power law
    rehearsed   the recipe as it is rehearsed on a part of the documents
    as_large    called with the bytes that the run will read, of text and as stored: makes the part take the same way
    """

    phases: Callable[[Recipe], Mapping[str, Growth]] = lambda _: {"": Growth(shared=True)}
    memory: Growth = ONE_ITEM
    disk: Growth = TEXT
    maps: tuple[str, ...] = ()
    reads: Callable[[Recipe], Sequence[tuple[Inputs, float]]] | None = None
    counts: Callable[[StageReport], Mapping[str, float]] = lambda _: {}
    rehearsed: Callable[[Recipe, Part], Recipe] = lambda recipe, _: recipe
    as_large: Callable[[float, float], None] = lambda _text, _stored: None


def with_section(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """The recipe with other settings in a section."""
    section = msgspec.structs.replace(recipe.sections[name], **changes)
    return replace(recipe, sections={**recipe.sections, name: section})


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    name          its name in `--until`, in the manifest of its folder and in messages
    folder        name of its folder inside the run's folder
    title         its heading in reports
    help          what it makes, in a few words
    sections      the recipe's sections that it reads; the stage runs if the recipe has the first of them
    run           does the work
    needs         other required sections, each with advice for the case that it is missing
    reads         whether it reads documents: the recipe's, or those that an earlier stage leaves
    shared        whether `--share` parts its work: it is one pipeline over documents
    leaves        patterns of the documents that later stages read, in place of those that this stage read
    settle        checks that the recipe's sections agree; raises ValueError
    before        checks the disk or the network before any work; raises TamizError
    check         additional checks of `tamiz verify`, besides files, checksums and counts: one line per problem
    after         the stage that it follows; None: it comes after all others
    announces     lines about the work, said before it
    anywhere      whether it writes to any address; otherwise it works in a local folder, which is sent to a store
    writes        (plan, bytes of text read) -> (about how many bytes it writes, bytes of text left to later stages)
    costs         what its time, memory and disk grow with, for `tamiz plan`
    """

    name: str
    folder: str
    title: str
    help: str
    sections: tuple[Section, ...]
    run: Callable[[Plan, Context], StageReport]
    needs: tuple[tuple[str, str], ...] = ()
    reads: bool = False
    shared: bool = False
    leaves: Callable[[Plan], Sequence[str]] | None = None
    settle: Callable[[Recipe], None] | None = None
    before: Callable[[Plan], None] | None = None
    check: Callable[[Home, Manifest], list[str]] | None = None
    after: str | None = None
    announces: Callable[[Plan], Sequence[str]] | None = None
    writes: Callable[[Plan, int], tuple[int, int]] | None = None
    costs: Costs = Costs()
    anywhere: bool = False

    def runs_in(self, recipe: Recipe) -> bool:
        return recipe.sections.get(self.sections[0].name) is not None


@dataclass(frozen=True)
class Reading:
    """What the items of a stage hold. bytes: as stored. unknown: number of files whose size isn't known."""

    files: int
    bytes: int
    unknown: int
    text_bytes: int

    @property
    def named(self) -> str:
        return f"{count(self.files)} file{'' if self.files == 1 else 's'}"

    @classmethod
    def of(cls, items: Sequence[WorkItem]) -> Reading:
        files = {item.path: item for item in items}.values()
        sizes = [item.size or 0 for item in files]
        text = sum(size * (EXPANDED if item.compression or item.format == "parquet" else 1)
                   for item, size in zip(files, sizes, strict=True))  # fmt: skip
        return cls(len(files), sum(sizes), sum(not item.size for item in files if "://" in item.path), int(text))


@dataclass(frozen=True)
class Plan:
    """A recipe in its output folder. stages: the stages that run, in order."""

    recipe: Recipe
    out: Any
    """A `Path`, or a `Home` in a store."""
    stages: tuple[Stage, ...]
    local: Mapping[str, Path] = field(default_factory=dict, compare=False)
    """Local folders of stages whose output belongs to a store, by name."""
    _items: dict[tuple[object, ...], list[WorkItem]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def folder(self, name: str) -> Any:
        """The folder of the stage with this name: a `Path`, or a `Home` in a store unless the stage works locally."""
        return self.local.get(name, self.out / self._stage(name).folder)

    def has(self, name: str) -> bool:
        return any(stage.name == name for stage in self.stages)

    def items(self, inputs: Inputs) -> list[WorkItem]:
        """The items of inputs, listed once for all that is checked and said before work: a network takes a while."""
        key = tuple(inputs)
        if key not in self._items:
            self._items[key] = work_items(inputs)
        return self._items[key]

    def documents(self, name: str) -> list[DocumentSource]:
        """The documents that the stage with this name reads."""
        sources = self.recipe.inputs
        for stage in self.stages[: self.stages.index(self._stage(name))]:
            if stage.leaves:
                sources = [DocumentSource(input=tuple(stage.leaves(self)))]
        return sources

    def _stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)


def check_local(inputs: Inputs) -> None:
    """Raises BadArgument for a local pattern that matches no file: called before Beam is imported, which takes a
    second."""
    listed = [(given,) if isinstance(given, str) else given.patterns for given in inputs]
    list_files(pattern for patterns in listed for pattern in patterns if is_local(pattern))


def damaged_inputs(manifest: Manifest) -> list[str]:
    return [f"{d['file']}: {d['damage']}" for d in manifest.damaged]


def check_inputs(reports: Sequence[StageReport]) -> None:
    """Raises FinishedWithDamage or TooManyRejected (exit code 1); called when everything else is done."""
    damaged = sorted({d for r in reports for d in r.damaged})
    if damaged:
        if len(damaged) > 1:
            raise FinishedWithDamage(
                f"finished, but {len(damaged)} input files are damaged; the first, {damaged[0]}; repair them and run "
                "again with --rebuild"
            )
        raise FinishedWithDamage(
            f"finished, but an input file is damaged: {damaged[0]}; repair it and run again with --rebuild"
        )
    for report in reports:
        if report.too_many:
            raise TooManyRejected(f"finished, but {report.too_many}")
