"""Stage `shards`: packed training rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.documents.items import Inputs
from corpora.tokens.settings import ShardSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs


def shards_stage(
    patterns: Inputs, tokenizer: str, out: Path, settings: ShardSettings, context: Context
) -> StageReport:
    """Brings `out` to hold the rows of all documents."""
    from pipelines.accounts import too_many_rejected
    from pipelines.shards import build_shards

    with progress("shards") as update:
        outcome = build_shards(
            patterns, tokenizer, out, settings, context.runner, rebuild=context.rebuild, progress=update
        )
    counts, facts = outcome.manifest.counts, outcome.manifest.facts
    many = too_many_rejected(out / "rejected", counts, context.max_rejected)
    rows = [("documents", count(counts["kept"]))]
    for split, account in facts["account"].items():
        rows.append((f"rows, {split}", count(account["rows"])))
        rows.append(
            (f"ids, {split}", f"{account['ids'] + account['separators']:,} ({account['remainder']} left over)")
        )
        rows += _details(split, account, facts)
    if facts.get("target_unigram_entropy_nats") is not None:
        rows.append(("entropy of the targets' unigrams", f"{facts['target_unigram_entropy_nats']:.3f} nats"))
    return StageReport("shards", outcome.state, out, rows, (), damaged_inputs(outcome.manifest), many, facts)


def _details(split: str, account: dict[str, Any], facts: dict[str, Any]) -> list[tuple[str, str]]:
    """How full short rows are; which denoisers made rows."""
    rows = []
    places = account["rows"] * facts["sequence_length"]
    if facts["objective"] == "causal" and account["row_ids"] < places:
        rows.append((f"padding, {split}", f"{1 - account['row_ids'] / places:.2%}"))
    for denoiser, number in zip(facts.get("denoisers", ()), account.get("rows_by_denoiser", ()), strict=True):
        mean = denoiser["mean_noise_span_length"]
        kind = f"{denoiser['name']} ({'one span' if mean is None else f'{mean:g}'}, {denoiser['noise_density']:g})"
        rows.append((f"rows by {kind}, {split}", count(number)))
    return rows
