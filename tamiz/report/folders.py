"""Finds what a report is about: a run, a folder of scores or a sample, and the paths of their documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from corpora import manifest, nearby
from corpora.documents.sources import SOURCES
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.home import Home, Place
from corpora.manifest import Manifest
from tamiz.recipes.schema import SAVED, patterns
from tamiz.stages.sample import require_facts


@dataclass(frozen=True)
class Scored:
    """A finished folder of scores, and the finished sample drawn from it if there is one.

    inputs: patterns of the scored documents; empty if unknown. recipe: the run's resolved recipe; empty outside of a
    run.
    """

    home: Home
    title: str
    reference: str
    scores: Home
    scored: Manifest
    sampled: Home | None
    sample: Manifest | None
    inputs: list[str]
    recipe: dict[str, Any]

    @property
    def language(self) -> str:
        """The language that the recipe names."""
        return str(self.recipe.get("language", ""))

    @property
    def items(self) -> list[str]:
        """Names of the work items in the report, ordered by number: those of the sample, if there is one."""
        return [str(i["name"]) for i in (self.sample or self.scored).items]


def find(folder: Place, scores: Place | None = None, inputs: Sequence[str] = ()) -> Scored:
    """Finds the scores, sample and documents that belong to `folder`, unless `scores` and `inputs` name them.

    Raises:
        DamagedFile: there is no manifest, the scores aren't finished, or the folder is another stage's output.
        StaleOutput: the sample wasn't drawn from these scores.
        BadArgument: a run has no scores, or the scores of the sample can't be found.
    """
    home = Home.of(folder)
    content = manifest.read(home)
    if content.stage == "run":
        if not (home / "scores").is_folder():
            raise BadArgument(f"{home} has no scores yet: a report shows what was scored and sampled")
        return _of(home, home / "scores", _sample_of(home), home, inputs)
    if content.stage == "score":
        return _of(home, home, None, home.above, inputs)
    if content.stage == "sample":
        chosen = Home.of(scores) if scores else _scores_of(home, content)
        return _of(home, chosen, home, home.above, inputs)
    raise DamagedFile(
        f"{folder} holds the output of {content.stage!r}: give the folder of a run, of scores or of a sample"
    )


def _of(home: Home, scores: Home, sampled: Home | None, run: Home, inputs: Sequence[str]) -> Scored:
    scored = manifest.read_finished(scores, "score")
    sample = manifest.read_finished(sampled, "sample") if sampled else None
    if sampled and sample:
        require_facts(sampled, sample)
    if sample and sample.made_from.settings["scores"] != scored.fingerprint:
        raise StaleOutput(f"{sampled} was not drawn from {scores}: name its scores with --scores, or sample again")
    recipe = _recipe(run)
    return Scored(
        home=home,
        title=recipe.get("title") or _title(home),
        reference=recipe.get("reference", ""),
        scores=scores,
        scored=scored,
        sampled=sampled,
        sample=sample,
        inputs=list(inputs) or _inputs(recipe),
        recipe=recipe,
    )


def _title(home: Home) -> str:
    whole = home.folder.resolve().as_posix() if home.is_local else home.address.partition("://")[2]
    return "/".join(whole.strip("/").split("/")[-2:])


def _sample_of(run: Home) -> Home | None:
    """The run's sample, if it is finished."""
    home = run / "sampled"
    return home if home.exists(manifest.NAME) and manifest.read(home).finished else None


def _scores_of(sampled: Home, content: Manifest) -> Home:
    """The folder of scores that the sample was drawn from; it must be next to the sample."""
    wanted = content.made_from.settings["scores"]
    beside = sampled.above
    for home in (beside / name for name in nearby.inside(beside, manifest.NAME)):
        try:
            found = manifest.read(home)
        except DamagedFile:
            continue
        if found.stage == "score" and found.finished and found.fingerprint == wanted:
            return home
    raise BadArgument(f"the scores that {sampled} was drawn from are not next to it: name them with --scores DIR")


def _recipe(run: Home) -> dict[str, Any]:
    """The run's resolved recipe; empty if the folder isn't part of a run."""
    if not run.exists(SAVED) or not run.exists(manifest.NAME) or manifest.read(run).stage != "run":
        return {}
    try:
        recipe: dict[str, Any] = msgspec.json.decode(run.read_bytes(SAVED), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise DamagedFile(f"{run.at(SAVED)} can't be read ({error}): run the recipe again") from None
    return recipe


def _inputs(recipe: dict[str, Any]) -> list[str]:
    """The patterns of the recipe's documents; `documents` was a single table in old recipes and is a list now."""
    listed = recipe.get("documents", [])
    found = []
    for source in listed if isinstance(listed, list) else [listed]:
        named = SOURCES.get(source.get("source", ""))
        found += patterns(source["input"]) if source.get("input") else [named.pattern] if named else []
    return found
