"""Stage `shards`: packed training rows."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET

from corpora.tokens.facts import facts_of
from corpora.tokens.settings import ShardSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs


def shards_stage(
    patterns: list[str], tokenizer: str, out: Path, settings: ShardSettings, context: Context
) -> StageReport:
    """Makes `out` hold the rows of all documents."""
    from pipelines.accounts import too_many_rejected
    from pipelines.shards import build_shards

    with progress("shards") as update:
        outcome = build_shards(
            patterns, tokenizer, out, settings, context.runner, rebuild=context.rebuild, progress=update
        )
    counts, facts = outcome.manifest.counts, facts_of(out, outcome.manifest)
    many = too_many_rejected(out / "rejected", counts, context.max_rejected)
    rows = [("documents", count(counts["kept"]))]
    for split, account in ({} if facts.account is UNSET else facts.account).items():
        rows.append((f"rows, {split}", count(account.rows)))
        rows.append((f"ids, {split}", f"{account.ids + account.separators:,} ({account.remainder} left over)"))
        rows += settings.summary(split, facts)
    if facts.target_unigram_entropy_nats is not None:
        rows.append(("entropy of the targets' unigrams", f"{facts.target_unigram_entropy_nats:.3f} nats"))
    return StageReport(
        "shards", outcome.state, out, rows, (), damaged_inputs(outcome.manifest), many, outcome.manifest.facts
    )
