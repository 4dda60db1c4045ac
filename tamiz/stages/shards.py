"""Stage `shards`: builds packed training rows."""

from __future__ import annotations

from msgspec import UNSET

from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.manifest import NAME, Counts, Manifest, require
from corpora.rows.mixing import DEFAULT as DEFAULT_MIXTURE
from corpora.rows.mixing import MIXTURES
from corpora.tokens.facts import facts_of
from corpora.tokens.objectives import DEFAULT, OBJECTIVES
from corpora.tokens.settings import ShardSettings
from corpora.verify import bad_rows
from tamiz.console import count, progress, say
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.common import Context, Plan, Stage, StageReport, check_local, damaged_inputs
from tamiz.stages.mixtures import check_names, documents_by_name, joined, refuse_one_folder, require_rows


def shards_stage(
    patterns: Inputs, tokenizer: str, out: Place, settings: ShardSettings, context: Context
) -> StageReport:
    """Makes sure that `out` holds the rows of all documents."""
    check_local(patterns)
    from pipelines.accounts import too_many_rejected
    from pipelines.shards import build_shards

    with progress("shards") as update:
        outcome = build_shards(
            patterns, tokenizer, out, settings, context.runner, rebuild=context.rebuild, progress=update
        )
    counts, facts = outcome.manifest.counts, facts_of(out, outcome.manifest)
    require(Home.of(out).at(NAME), outcome.manifest, Counts)
    many = too_many_rejected(Home.of(out).at("rejected"), counts, context.max_rejected)
    rows = [("documents", count(counts["kept"]))]
    for split, account in ({} if facts.account is UNSET else facts.account).items():
        rows.append((f"rows, {split}", count(account.rows)))
        rows.append((f"ids, {split}", f"{account.ids + account.separators:,} ({account.remainder} left over)"))
        rows += settings.summary(split, facts)
    if facts.target_unigram_entropy_nats is not None:
        rows.append(("entropy of the training targets' unigrams", f"{facts.target_unigram_entropy_nats:.3f} nats"))
    return StageReport(
        "shards", outcome.state, out, rows, (), damaged_inputs(outcome.manifest), many, outcome.manifest.facts
    )


def _run(plan: Plan, context: Context) -> StageReport:
    from tamiz.stages.tokenizer import tokenizer_of

    settings, home = plan.recipe.shards, plan.folder("shards")
    if plan.recipe.mixture is None:
        return shards_stage(plan.documents("shards"), tokenizer_of(plan), home, settings, context)
    refuse_one_folder(home)
    reports = {}
    for name, documents in documents_by_name(plan).items():
        say(f"  {name}")
        reports[name] = shards_stage(documents, tokenizer_of(plan), home / name, settings, context)
        require_rows(name, reports[name])
    return joined(home, reports)


def _check(home: Place, content: Manifest) -> list[str]:
    """Checks the rows of the files, and the account of every id."""
    from corpora.tokens.account import bad_account

    rows = content.facts.get("rows")
    expected = {f"{split}/": number for split, number in rows.items()} if isinstance(rows, dict) else {}
    return bad_rows(home, content, expected) + bad_account(home, content)


def _settle(recipe: Recipe) -> None:
    """A tokenizer that the recipe trains needs a sentinel for each noise span of a row; a mixture needs names."""
    check_names(recipe)
    shards, tokenizer = recipe.shards, recipe.tokenizer
    if not tokenizer.file and shards.num_spans > tokenizer.extra_ids:
        raise ValueError(
            f"tokenizer.extra_ids is {tokenizer.extra_ids}, but a row of {shards.sequence_length} has "
            f"{shards.num_spans} noise spans: raise it to {shards.num_spans}, or lower shards.sequence_length"
        )


def _writes(plan: Plan, text_bytes: int) -> tuple[int, int]:  # noqa: ARG001
    """Two bytes for an id of about four and a half."""
    return int(text_bytes * 2 / 4.5), text_bytes


STAGE = Stage(
    name="shards",
    folder="shards",
    title="Shards",
    help="packed training rows",
    sections=(Section("shards", OBJECTIVES, DEFAULT), Section("mixture", MIXTURES, DEFAULT_MIXTURE)),
    needs=(("tokenizer", "add a section [tokenizer], or tokenizer.file"),),
    run=_run,
    anywhere=True,
    reads=True,
    shared=True,
    check=_check,
    settle=_settle,
    writes=_writes,
)
