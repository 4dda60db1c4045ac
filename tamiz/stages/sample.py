"""Stage `sample`: the documents kept, drawn by their perplexity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.settings import SampleSettings
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, damaged_inputs


def sample_stage(
    patterns: list[str], scores: Path, out: Path, settings: SampleSettings, context: Context
) -> StageReport:
    """Brings `out` to hold the sample."""
    from pipelines.sample import sample
    from pipelines.stage import too_many_rejected

    with progress("sample") as update:
        outcome = sample(patterns, scores, out, settings, context.runner, rebuild=context.rebuild, progress=update)
    counts, facts = outcome.manifest.counts, outcome.manifest.facts
    many = too_many_rejected(out / "rejected", counts, context.max_rejected)
    rows = [
        ("documents kept", count(counts["kept"])),
        ("sampled out", count(counts["sampled_out"])),
        ("kept share, expected", f"{facts['expected_share']:.4f}"),
        ("kept share of each quartile", " / ".join(f"{s:.3f}" for s in facts["kept_shares"])),
        ("quartiles' share of the sample", " / ".join(f"{s:.3f}" for s in facts["composition"])),
        ("keep probability", kernel_text(facts["kernel"])),
    ]
    warnings = [facts["flat_warning"]] if facts["flat_warning"] else []
    return StageReport("sample", outcome.state, out, rows, warnings, damaged_inputs(outcome.manifest), many, facts)


def kernel_text(kernel: dict[str, Any]) -> str:
    values = {k: v for k, v in kernel.items() if k != "name"}
    parts = []
    for key, value in values.items():
        shown = ", ".join(f"{v:.6g}" for v in value) if isinstance(value, list) else f"{value:.6g}"
        parts.append(f"{key} {shown}")
    return f"{kernel['name']}: " + ", ".join(parts)
