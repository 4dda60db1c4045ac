"""Stage `score`: computes the perplexity of every document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.manifest import NAME, Counts, Manifest, require
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.unknown_tokens import ALL, BOUNDS, TOKENS, UNKNOWN_TOKENS, unknown_share
from pipelines.settings import ScoreSettings
from tamiz.console import count, progress, warn
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.common import Context, Plan, Stage, StageReport, check_local, damaged_inputs
from tamiz.stages.languages import check_routes, settle_languages


def score_stage(
    patterns: Inputs, models: Sequence[LmChoice], out: Place, settings: ScoreSettings, context: Context
) -> StageReport:
    """Makes sure that `out` holds the scores of all documents, from one model or from the model of each language."""
    check_local(patterns)
    from pipelines.accounts import too_many_rejected
    from pipelines.score import score

    with progress("score") as bar:
        outcome = score(patterns, models, out, settings, context.runner, rebuild=context.rebuild, progress=bar)
    counts = outcome.manifest.counts
    require(Home.of(out).at(NAME), outcome.manifest, Counts)
    many = too_many_rejected(Home.of(out).at("rejected"), counts, context.max_rejected)
    languages = outcome.manifest.facts.get("languages", {})
    rows = [
        ("documents scored", count(counts["kept"])),
        *((f"  {language}", count(n)) for language, n in languages.items()),
        ("rows rejected", count(sum(counts["rejected"].values()))),
    ]
    rows += [(f"  {reason}", count(n)) for reason, n in counts["rejected"].items()]
    shares = unknown_shares(outcome.manifest)
    rows += [("tokens that the model doesn't know", ", ".join(_told(shares)))] if shares else []
    damaged = damaged_inputs(outcome.manifest)
    return StageReport("score", outcome.state, out, rows, _warnings(shares, outcome.manifest), damaged, many)


def unknown_shares(manifest: Manifest) -> dict[str, float]:
    """Language -> the share of tokens that its model doesn't know; empty for a folder of an older tamiz."""
    unknown, tokens = manifest.facts.get(UNKNOWN_TOKENS, {}), manifest.facts.get(TOKENS, {})
    return {
        language: share
        for language, number in tokens.items()
        if (share := unknown_share(number, unknown.get(language, 0))) is not None
    }


def _told(shares: Mapping[str, float]) -> list[str]:
    return [f"{share:.1%}" if language == ALL else f"{language} {share:.1%}" for language, share in shares.items()]


def _warnings(shares: Mapping[str, float], manifest: Manifest) -> list[str]:
    settings = manifest.made_from.settings
    found = []
    for language, share in shares.items():
        mode = settings["mode"] or settings["models"][language]["mode"]
        if share > BOUNDS[mode].warn:
            of = "" if language == ALL else f" of language {language}"
            found.append(
                f"the model{of} doesn't know {share:.1%} of the documents' tokens, more than "
                f"{BOUNDS[mode].warn:.0%}: check its tokenizer, its mode and the language of the documents"
            )
    return found


def _run(plan: Plan, context: Context) -> StageReport:
    from tamiz.stages.lm import lm_choices

    documents = plan.documents("score")
    return score_stage(documents, lm_choices(plan), plan.folder("score"), plan.recipe.score, context)


def _before(plan: Plan) -> None:
    """Checks before the language models are trained that each document has one, and warns of what spoils scores."""
    check_routes(plan.recipe, plan.items(plan.recipe.inputs))
    _warn_of_overlap(plan)


def _warn_of_overlap(plan: Plan) -> None:
    """A language model gives its own training text a lower perplexity than any other."""
    trained = [lm for lm in plan.recipe.lm.models.values() if not lm.file]
    learned = {item.path for lm in trained for item in plan.items(lm.patterns)}
    documents = {item.path for item in plan.items(plan.recipe.inputs)}
    shared = len(documents & learned)
    if shared:
        warn(
            f"the language model was trained on {shared} of {len(documents)} document files: their perplexity will "
            "be too low; use different files in lm.input and documents.input"
        )


def _settle(recipe: Recipe) -> None:
    brought = recipe.lm and any(lm.file for lm in recipe.lm.models.values())
    if recipe.lm and not brought and not (recipe.score.lower_case and recipe.score.remove_accents):
        raise ValueError(
            "score.lower_case and score.remove_accents are for a model that is brought, lm.file: remove them"
        )
    if recipe.lm:
        settle_languages(recipe)


STAGE = Stage(
    name="score",
    folder="scores",
    title="Scores",
    help="the perplexity of every document",
    sections=(Section("score", ScoreSettings),),
    needs=(("lm", "add a section [lm], with lm.input or lm.file"),),
    run=_run,
    anywhere=True,
    reads=True,
    shared=True,
    before=_before,
    settle=_settle,
)
