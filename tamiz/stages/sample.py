"""Stage `sample`: the documents kept, drawn by their perplexity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.settings import SampleSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs

SIEVES_AT_LEAST = 1.5  # highest over lowest kept share of a quartile


def sample_stage(
    patterns: list[str], scores: Path, out: Path, settings: SampleSettings, context: Context
) -> StageReport:
    """Brings `out` to hold the sample."""
    from pipelines.sample import sample
    from pipelines.stage import check_rejected

    with progress("sample") as update:
        outcome = sample(patterns, scores, out, settings, context.runner, rebuild=context.rebuild, progress=update)
    counts, facts = outcome.manifest.counts, outcome.manifest.facts
    check_rejected(out, counts, context.max_rejected)
    shares = facts["quartile_shares"]
    rows = [
        ("documents kept", count(counts["kept"])),
        ("sampled out", count(counts["sampled_out"])),
        ("kept share, expected", f"{facts['expected_share']:.4f}"),
        ("kept share by quartile", " / ".join(f"{s:.3f}" for s in shares)),
        ("keep probability", kernel_text(facts["kernel"])),
    ]
    return StageReport(
        "sample", outcome.state, out, rows, _warnings(shares, settings), damaged_inputs(outcome.manifest), facts
    )


def kernel_text(kernel: dict[str, Any]) -> str:
    values = {k: v for k, v in kernel.items() if k != "name"}
    parts = []
    for key, value in values.items():
        shown = ", ".join(f"{v:.6g}" for v in value) if isinstance(value, list) else f"{value:.6g}"
        parts.append(f"{key} {shown}")
    return f"{kernel['name']}: " + ", ".join(parts)


def _warnings(shares: list[float], settings: SampleSettings) -> list[str]:
    lowest, highest = min(shares), max(shares)
    if settings.method == "random" or (lowest > 0 and highest / lowest >= SIEVES_AT_LEAST) or lowest == 0 < highest:
        return []
    return [
        f"this {settings.method} hardly sieves: kept shares by quartile are {lowest:.3f} to {highest:.3f}, "
        f"less than {SIEVES_AT_LEAST} times apart; a smaller width (2/9 instead of 9/2) or --keep sieves more"
    ]
