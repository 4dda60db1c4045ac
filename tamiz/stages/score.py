"""Stage `score`: the perplexity of every document."""

from __future__ import annotations

from pathlib import Path

from pipelines.settings import ScoreSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs


def score_stage(
    patterns: list[str], lm: Path, tokenizer: Path | None, out: Path, settings: ScoreSettings, context: Context
) -> StageReport:
    """Brings `out` to hold the scores of all documents under the language model."""
    from pipelines.score import score
    from pipelines.stage import too_many_rejected

    with progress("score") as update:
        outcome = score(
            patterns, lm, out, settings, context.runner, tokenizer=tokenizer, rebuild=context.rebuild, progress=update
        )
    counts = outcome.manifest.counts
    many = too_many_rejected(out / "rejected", counts, context.max_rejected)
    rows = [
        ("documents scored", count(counts["kept"])),
        ("rows rejected", count(sum(counts["rejected"].values()))),
    ]
    rows += [(f"  {reason}", count(n)) for reason, n in counts["rejected"].items()]
    return StageReport("score", outcome.state, out, rows, damaged=damaged_inputs(outcome.manifest), too_many=many)
