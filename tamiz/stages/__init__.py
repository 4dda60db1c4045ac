"""The stages of a run, in order. A stage is one value of type Stage, exported by one file.

    common.py      Stage, Plan (a recipe in its output folder), Context (how to run), StageReport (the results), Costs
    growth.py      how costs grow, for `tamiz plan`
    lm.py score.py sample.py tokenizer.py shards.py train.py export.py    the stages
    evaluation.py  `tamiz tokenizer eval`, which isn't part of recipes
    texts.py       documents as one stream of texts, for stages without a pipeline
    described.py   what a recipe says of its documents, for cards

Recipe and Section are in tamiz/recipes/schema.py.

Folder names, report titles, `--until`, the sections of recipes and the checks of `tamiz verify` all come from these
values. To add a stage, register one in an extension (see corpora.choices); `after` says where it runs.
"""

from __future__ import annotations

from corpora.choices import Choices
from corpora.errors import BadArgument
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.common import Context, Costs, Plan, Stage, StageReport
from tamiz.stages.growth import Growth

__all__ = ["STAGES", "Context", "Costs", "Growth", "Plan", "Recipe", "Section", "Stage", "StageReport", "ordered"]

STAGES: Choices[Stage] = Choices(
    "stage",
    "stage",
    {
        "lm": "tamiz.stages.lm:STAGE",
        "score": "tamiz.stages.score:STAGE",
        "sample": "tamiz.stages.sample:STAGE",
        "tokenizer": "tamiz.stages.tokenizer:STAGE",
        "shards": "tamiz.stages.shards:STAGE",
        "train": "tamiz.stages.train:STAGE",
        "export": "tamiz.stages.export:STAGE",
    },
)


def ordered() -> tuple[Stage, ...]:
    """All stages in the order in which they run: the built-in stages, each followed by those registered `after` it.

    Registered stages without `after` come last. Raises BadArgument if `after` doesn't name a stage.
    """
    stages = list(STAGES)
    names = {stage.name for stage in stages}
    for stage in stages:
        if stage.after is not None and stage.after not in names:
            raise BadArgument(
                f"the stage {stage.name} runs after {stage.after!r}, which is not a stage: {', '.join(sorted(names))}"
            )
    first = [stage for stage in stages if stage.after is None]
    result = [later for stage in first for later in _with_followers(stage, stages)]
    if len(result) < len(stages):
        circle = sorted(names - {stage.name for stage in result})
        raise BadArgument(f"the stages {', '.join(circle)} run after each other: change the `after` of one of them")
    return tuple(result)


def _with_followers(stage: Stage, stages: list[Stage]) -> list[Stage]:
    followers = [other for other in stages if other.after == stage.name]
    return [stage, *(later for other in followers for later in _with_followers(other, stages))]
