"""Stage `evaluation`: compares tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from corpora import manifest
from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.locks import locked
from corpora.stores import temporary
from tamiz.console import count, progress
from tamiz.stages.common import Context, StageReport, check_local, damaged_inputs
from tokenizer_train.evaluation.settings import EvaluationSettings

PLOT = "eval.png"


def evaluation_stage(
    tokenizers: Sequence[str],
    patterns: Inputs,
    out: Place | None,
    settings: EvaluationSettings,
    context: Context,
    names: Sequence[str] | None = None,
) -> StageReport:
    """Makes sure that `out` holds eval.json and its plot; None: keeps no files. The report has eval.json's facts."""
    if out is not None:
        return _evaluate(tokenizers, patterns, out, settings, context, names)
    with temporary.local_folder() as scratch:
        report = _evaluate(tokenizers, patterns, scratch, settings, context, names)
    many = report.too_many and report.too_many.replace(f"{scratch}/rejected", "DIR/rejected (with --out DIR)")
    return replace(report, folder=Path("not kept: no --out"), too_many=many)


def _evaluate(
    tokenizers: Sequence[str],
    patterns: Inputs,
    out: Place,
    settings: EvaluationSettings,
    context: Context,
    names: Sequence[str] | None,
) -> StageReport:
    check_local(patterns)
    from pipelines.accounts import too_many_rejected
    from pipelines.evaluate import NAME, evaluate
    from tamiz.report.tokenizers import draw_tokenizers

    with locked(out, "tokenizer eval"):
        with progress("evaluate") as update:
            outcome = evaluate(
                tokenizers,
                patterns,
                out,
                settings,
                context.runner,
                names=names,
                rebuild=context.rebuild,
                progress=update,
            )
        home = Home.of(out)
        facts = msgspec.json.decode(home.read_bytes(NAME))
        if not home.exists(PLOT) and outcome.manifest.counts["kept"]:
            with home.filled() as folder:
                drawn = manifest.record(folder, draw_tokenizers(facts, folder / PLOT))
            manifest.add_derived(home, [drawn])
    counts = outcome.manifest.counts
    rows = [("documents", count(counts["kept"]))]
    if counts["sampled_out"]:
        rows.append(("documents not drawn", count(counts["sampled_out"])))
    rows += [("rows rejected", count(sum(counts["rejected"].values())))]
    rows += [(f"  {reason}", count(n)) for reason, n in counts["rejected"].items()]
    many = too_many_rejected(home.at("rejected"), counts, context.max_rejected)
    return StageReport("evaluation", outcome.state, out, rows, (), damaged_inputs(outcome.manifest), many, facts)
