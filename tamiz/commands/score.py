"""tamiz score"""

from __future__ import annotations

from pathlib import Path

import click

from corpora.errors import BadArgument
from tamiz.commands._summary import summarise
from tamiz.options import BEAM, input_option, out_option, pipeline_options, runner_settings, settings


@click.command(context_settings=BEAM)
@input_option
@click.option("--lm", "models", multiple=True, required=True, metavar="LM.bin", help="A KenLM file.")
@click.option("--tokenizer", type=click.Path(path_type=Path), help="spiece.model of a model that brings no LM.json.")
@click.option("--mode", type=click.Choice(["lines", "ccnet", "bertin"]), help="Default: what LM.json says.")
@out_option
@pipeline_options
def command(
    ctx: click.Context,
    patterns: tuple[str, ...],
    models: tuple[str, ...],
    tokenizer: Path | None,
    mode: str | None,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
) -> None:
    """Write the perplexity of every document to OUT, one small Parquet file per input, aligned row by row."""
    from pipelines.settings import ScoreSettings
    from tamiz.stages.common import Context
    from tamiz.stages.score import score_stage

    if len(models) > 1 or "=" in models[0]:
        raise BadArgument(f"--lm {' '.join(models)}: one model a run (routing by language is not available yet)")
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    report = score_stage(
        list(patterns), Path(models[0]), tokenizer, Path(out), settings(ScoreSettings, mode=mode), context
    )
    summarise([report], "Scores")
