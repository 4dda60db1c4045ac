"""tamiz sample"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from corpora.errors import BadArgument
from tamiz.commands._summary import summarise
from tamiz.options import BEAM, input_option, out_option, pipeline_options, runner_settings, settings


@click.command(context_settings=BEAM)
@input_option
@click.option("--scores", required=True, type=click.Path(path_type=Path), help="What `tamiz score` wrote.")
@click.option(
    "--method", type=click.Choice(["gaussian", "stepwise", "random"]), default="gaussian", show_default=True
)
@click.option("--keep", type=float, help="Share of the scored documents to keep; the factor is solved for.")
@click.option("--keep-documents", type=int, help="Number of documents to keep, in expectation.")
@click.option("--factor", type=float, help="BERTIN's: 0.78 (gaussian), 1.5e5 (stepwise), 0.5 (random).")
@click.option("--width", type=float, help="Of the gaussian: 4.5 as BERTIN published, 0.2222 sieves. [default: 4.5]")
@click.option("--median", type=float, help="Centre of the gaussian. [default: fitted from the scores]")
@click.option("--boundaries", metavar="A,B,C", help="Of stepwise. [default: quartiles of the scores]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--format", "file_format", type=click.Choice(["parquet", "jsonl.gz", "jsonl.zst"]), default="parquet")
@out_option
@pipeline_options
def command(
    ctx: click.Context,
    patterns: tuple[str, ...],
    scores: Path,
    boundaries: str | None,
    file_format: str,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Keep each document with a probability that depends on its perplexity. Re-sampling never re-scores."""
    from pipelines.settings import SampleSettings
    from tamiz.stages.common import Context
    from tamiz.stages.sample import sample_stage

    chosen = settings(SampleSettings, boundaries=_boundaries(boundaries), format=file_format, **values)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    summarise([sample_stage(list(patterns), scores, Path(out), chosen, context)], "Sample")


def _boundaries(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3:
        raise BadArgument(f"--boundaries {text!r} must be three numbers, A,B,C") from None
    return values
