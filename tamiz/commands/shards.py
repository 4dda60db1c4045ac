"""tamiz shards"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tamiz.commands._summary import summarise
from tamiz.commands.shards_inspect import command as inspect_command
from tamiz.options import BEAM, input_option, out_option, pipeline_options, runner_settings, settings


@click.group()
def command() -> None:
    """Build training rows from documents; look at them."""


@command.command(context_settings=BEAM)
@input_option
@click.option("--tokenizer", required=True, help="A tokenizer's folder, or byt5.")
@click.option("--objective", type=click.Choice(["span-corruption", "causal"]), required=True)
@click.option("--sequence-length", type=int, required=True, help="Width of the model's input (causal: of the row).")
@click.option("--packing", type=click.Choice(["concatenate"]), default="concatenate", show_default=True)
@click.option("--noise-density", type=float, help="[default: 0.15]")
@click.option("--mean-noise-span-length", type=float, help="[default: 3]")
@click.option(
    "--random-roll", is_flag=True, default=None, help="Roll the mask, so that the last id isn't always noise."
)
@click.option("--validation-fraction", type=float, help="Share of the documents held out. [default: 0.01]")
@click.option("--seed", type=int, default=0, show_default=True)
@out_option
@pipeline_options
def build(
    ctx: click.Context,
    patterns: tuple[str, ...],
    tokenizer: str,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Tokenize, pack and corrupt documents into fixed-size rows, every id accounted for."""
    from corpora.tokens.settings import ShardSettings
    from tamiz.stages.common import Context
    from tamiz.stages.shards import shards_stage

    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    report = shards_stage(list(patterns), tokenizer, Path(out), settings(ShardSettings, **values), context)
    summarise([report], "Shards")


command.add_command(inspect_command)
