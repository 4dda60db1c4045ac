"""Stage `score`: computes the perplexity of every document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpora.documents.sources import Inputs
from corpora.perplexity.routing import LmChoice
from pipelines.settings import ScoreSettings
from tamiz.console import count, progress, warn
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.common import Context, Plan, Stage, StageReport, check_local, damaged_inputs


def score_stage(
    patterns: Inputs, models: Sequence[LmChoice], out: Path, settings: ScoreSettings, context: Context
) -> StageReport:
    """Makes sure that `out` holds the scores of all documents, from one model or from the model of each language."""
    check_local(patterns)
    from pipelines.accounts import too_many_rejected
    from pipelines.score import score

    with progress("score") as update:
        outcome = score(patterns, models, out, settings, context.runner, rebuild=context.rebuild, progress=update)
    counts = outcome.manifest.counts
    many = too_many_rejected(out / "rejected", counts, context.max_rejected)
    languages = outcome.manifest.facts.get("languages", {})
    rows = [
        ("documents scored", count(counts["kept"])),
        *((f"  {language}", count(n)) for language, n in languages.items()),
        ("rows rejected", count(sum(counts["rejected"].values()))),
    ]
    rows += [(f"  {reason}", count(n)) for reason, n in counts["rejected"].items()]
    return StageReport("score", outcome.state, out, rows, damaged=damaged_inputs(outcome.manifest), too_many=many)


def _run(plan: Plan, context: Context) -> StageReport:
    from tamiz.stages.lm import lm_choice

    documents = plan.documents("score")
    return score_stage(documents, [lm_choice(plan)], plan.folder("score"), plan.recipe.score, context)


def _warn_of_overlap(plan: Plan) -> None:
    """A language model gives its own training text a lower perplexity than any other."""
    from corpora.documents.items import work_items

    lm = plan.recipe.lm
    if lm.file:
        return
    learned = {item.path for item in work_items(lm.patterns)}
    documents = {item.path for item in work_items(plan.recipe.inputs)}
    shared = len(documents & learned)
    if shared:
        warn(
            f"the language model was trained on {shared} of {len(documents)} document files: their perplexity will "
            "be too low; use different files in lm.input and documents.input"
        )


def _settle(recipe: Recipe) -> None:
    if recipe.score.language_column is not None:
        raise ValueError(
            "score.language_column selects a model per language, but a recipe has only one model: remove it"
        )


STAGE = Stage(
    name="score",
    folder="scores",
    title="Scores",
    help="the perplexity of every document",
    sections=(Section("score", ScoreSettings),),
    needs=(("lm", "add a section [lm], with lm.input or lm.file"),),
    run=_run,
    reads=True,
    before=_warn_of_overlap,
    settle=_settle,
)
