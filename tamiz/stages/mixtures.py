"""Shards by source, for recipes with [mixture]: which documents belong to which name, and where their shards are."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from corpora import manifest
from corpora.documents.listing import list_files
from corpora.documents.sources import BETWEEN, DocumentSource, owner_of
from corpora.errors import DamagedFile, StaleOutput, TamizError
from corpora.home import Home, Place
from corpora.manifest import Manifest
from tamiz.recipes.schema import Recipe
from tamiz.stages.common import Plan, StageReport
from tamiz.stages.sample import SamplePart

_PART = re.compile(r"part-(\d+)\.[\w.]+")
_Kind = TypeVar("_Kind")
_OR = 'To mix nothing, leave it out: --set mixture=, or without = ["mixture"] in a recipe with a base'


class _Item(msgspec.Struct):
    """What became of an item's rows."""

    name: str
    read: int
    kept: int
    rejected: dict[str, int] = {}


def names_of(recipe: Recipe) -> list[str]:
    """The names of a mixture's sources, in the recipe's order; several [[documents]] may have one name."""
    return list(dict.fromkeys(str(source.name) for source in recipe.documents))


def check_names(recipe: Recipe) -> None:
    """Raises ValueError unless the documents have names that the mixture knows."""
    if recipe.mixture is None:
        return
    for number, source in enumerate(recipe.documents):
        if source.name is None:
            raise ValueError(f"documents.{number}.name is missing: [mixture] mixes documents by their names. {_OR}")
        if BETWEEN in source.name:
            raise ValueError(
                f"documents.{number}.name is {source.name!r}; with [mixture], it can't contain {BETWEEN}"
            )
    names = names_of(recipe)
    if len(names) < 2:
        raise ValueError(f"[mixture] needs two sources or more, but all documents have the name {names[0]!r}. {_OR}")
    recipe.mixture.check_names(names)


def folders(plan: Plan) -> dict[str, Any]:
    """The folder of each source's shards."""
    return {name: plan.folder("shards") / name for name in names_of(plan.recipe)}


def documents_by_name(plan: Plan) -> dict[str, list[DocumentSource]]:
    """What the shards of each source are built from: its own documents, or those of them that earlier stages left."""
    names, inputs = names_of(plan.recipe), plan.recipe.inputs
    before = plan.stages[: [stage.name for stage in plan.stages].index("shards")]
    leaving = [stage for stage in before if stage.leaves]
    if not leaving:
        return {name: [source for source in inputs if source.name == name] for name in names}
    folder = plan.folder(leaving[-1].name)
    if leaving[-1].name == "sample":
        sample = manifest.read_finished(folder, "sample")
        parts = parts_by_name(folder, sample, names)
        _require_kept(folder, sample, names)
    else:
        listed = list_files(source for given in plan.documents("shards") for source in given.patterns)
        parts = _by_prefix(leaving[-1].name, [file.address for file in listed], names)
    return {name: [DocumentSource(input=tuple(map(glob.escape, paths)))] for name, paths in parts.items()}


def parts_by_name(folder: Place, content: Manifest, names: Sequence[str]) -> dict[str, list[str]]:
    """The files of a sample, by the source whose documents they hold.

    Item k is in part k, unless the manifest says which items each part holds. Raises DamagedFile for a part of no
    source, of several, or that isn't listed, and for a source without a part.
    """
    place = Home.of(folder).at(manifest.NAME)
    held = _stated(place, "facts.parts", content.facts.get("parts", []), list[SamplePart])
    files = {int(named[1]): r.path for r in content.files if (named := _PART.fullmatch(r.path))}
    if not held:
        items = [str(item.get("name")) for item in content.items]
        held = [SamplePart(files.get(number, ""), [item]) for number, item in enumerate(items)]
    found: dict[str, list[str]] = {name: [] for name in names}
    for part in held:
        owners = {owner_of(item, names) for item in part.items}
        if part.file not in files.values() or len(owners) != 1 or None in owners:
            raise DamagedFile(
                f"{place}: the part {part.file or 'that is missing'} holds {', '.join(part.items[:3])}, which isn't "
                f"of one of the sources {', '.join(names)}: sample again (--rebuild)"
            )
        found[str(owners.pop())].append(Home.of(folder).at(part.file))
    return _none_empty(found, place)


def _require_kept(folder: Place, content: Manifest, names: Sequence[str]) -> None:
    """Raises TamizError for a source of which the sample has no document."""
    items = _stated(Home.of(folder).at(manifest.NAME), "items", content.items, list[_Item])
    for name in names:
        own = [item for item in items if owner_of(item.name, names) == name]
        read, rejected = sum(item.read for item in own), sum(sum(item.rejected.values()) for item in own)
        if not any(item.kept for item in own):
            raise TamizError(
                f"the sample has no document of {name!r}, which [mixture] mixes: of {read:,} rows, {rejected:,} were "
                f"rejected ({Home.of(folder).at('rejected')}) and {read - rejected:,} sampled out; keep more, or "
                "leave it out"
            )


def _stated(place: str, key: str, value: object, kind: type[_Kind]) -> _Kind:
    """A part of a sample's manifest. Raises DamagedFile if it isn't what it must be."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"{place} is damaged ({key}: {error}): sample again (--rebuild)") from None


def _by_prefix(stage: str, paths: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """By the files' names, for stages that name their files after the items."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for path in paths:
        owner = owner_of(path.rsplit("/", 1)[-1], names)
        if owner is None:
            prefixes = ", ".join(f"{name}{BETWEEN}" for name in names)
            raise TamizError(
                f"{path}, which the stage {stage} left, begins with none of {prefixes}: [mixture] can't tell whose "
                "documents it holds; let the stage name its files after the items"
            )
        found[owner].append(path)
    return _none_empty(found, f"the stage {stage}")


def _none_empty(found: dict[str, list[str]], where: str) -> dict[str, list[str]]:
    for name, paths in found.items():
        if not paths:
            raise DamagedFile(f"{where} has no documents of {name!r}: give it more, or leave it out of [mixture]")
    return found


def refuse_one_folder(home: Place) -> None:
    """Raises StaleOutput if the folder holds shards that were built without [mixture]."""
    if Home.of(home).exists(manifest.NAME):
        raise StaleOutput(
            f"{home} holds the shards of all documents, built without [mixture]: choose another --out, or remove it"
        )


def require_rows(name: str, report: StageReport) -> None:
    """Raises TamizError unless the shards of a source have training rows."""
    if not report.facts["rows"].get("train"):
        why = report.too_many or "its documents don't fill one; give it more"
        raise TamizError(f"{name!r} has no training rows to mix: {why}, or leave it out of [mixture]")


def joined(home: Place, reports: Mapping[str, StageReport]) -> StageReport:
    """One report of all sources."""
    states = {report.state for report in reports.values()}
    return StageReport(
        "shards",
        states.pop() if len(states) == 1 else "continued",
        home,
        [(f"{name}: {title}", value) for name, report in reports.items() for title, value in report.rows],
        [f"{name}: {line}" for name, report in reports.items() for line in report.warnings],
        [line for report in reports.values() for line in report.damaged],
        next((report.too_many for report in reports.values() if report.too_many), None),
    )
