"""Stage `score`: the perplexity of every document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpora.perplexity.routing import LmChoice
from pipelines.settings import ScoreSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs


def score_stage(
    patterns: list[str], models: Sequence[LmChoice], out: Path, settings: ScoreSettings, context: Context
) -> StageReport:
    """Brings `out` to hold the scores of all documents, under one language model or the model of their language."""
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
