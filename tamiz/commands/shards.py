"""tamiz shards"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from corpora.documents.sources import DocumentSource
from tamiz.commands._summary import summarise
from tamiz.commands.shards_inspect import command as inspect_command
from tamiz.options import BEAM, document_options, out_option, pipeline_options, runner_settings, settings


@click.group()
def command() -> None:
    """Build training rows from documents; look at them."""


@command.command(context_settings=BEAM)
@document_options
@click.option("--tokenizer", required=True, help="A folder, a .model or tokenizer.json file, GPT-2's files, or byt5.")
@click.option("--objective", type=click.Choice(["span-corruption", "causal", "ul2"]), required=True)
@click.option("--sequence-length", type=int, required=True, help="Width of the model's input (causal: of the row).")
@click.option(
    "--packing",
    type=click.Choice(["concatenate", "best-fit"]),
    default="concatenate",
    show_default=True,
    help="best-fit (causal): cut only documents longer than a row; rows may be short.",
)
@click.option("--noise-density", type=float, help="[default: 0.15]")
@click.option("--mean-noise-span-length", type=float, help="[default: 3]")
@click.option(
    "--random-roll/--no-random-roll",
    default=None,
    help="Noise anywhere in the row, not always at its end. [default: only for ul2]",
)
@click.option("--bos/--no-bos", default=False, show_default=True, help="BOS before every document.")
@click.option("--eos/--no-eos", default=True, show_default=True, help="EOS after every document.")
@click.option(
    "--character-borders", is_flag=True, help="Byte tokenizers: rows end between characters, up to three ids short."
)
@click.option("--window-groups", type=int, help="Row groups that training mixes at a time. [default: 256]")
@click.option("--validation-fraction", type=float, help="Share of the documents held out. [default: 0.01]")
@click.option("--seed", type=int, default=0, show_default=True)
@out_option
@pipeline_options
def build(
    ctx: click.Context,
    sources: list[DocumentSource],
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
    report = shards_stage(sources, tokenizer, Path(out), settings(ShardSettings, **values), context)
    summarise([report], "Shards")


command.add_command(inspect_command)
