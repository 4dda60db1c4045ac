"""tamiz shards"""

from __future__ import annotations

from typing import Any

import click

from corpora.documents.sources import DocumentSource
from corpora.home import Home
from corpora.tokens.objectives import OBJECTIVES
from tamiz.choice_options import choice_flags, choice_option, chosen
from tamiz.commands._summary import summarise
from tamiz.commands.shards_inspect import command as inspect_command
from tamiz.groups import Group
from tamiz.options import BEAM, Named, document_options, out_option, pipeline_options, runner_settings

COMMON = (
    "sequence_length",
    "packing",
    "bos",
    "eos",
    "character_borders",
    "window_groups",
    "validation_fraction",
    "seed",
)


@click.group(cls=Group)
def command() -> None:
    """Build training rows from documents, or inspect them."""


@command.command(context_settings=BEAM, short_help="Build training rows from documents.")
@choice_flags(OBJECTIVES)
@document_options
@click.option(
    "--tokenizer",
    required=True,
    type=Named(),
    help="A folder, a .model or tokenizer.json file, GPT-2's files, or byt5.",
)
@choice_option(OBJECTIVES, "--objective")
@click.option(
    "--sequence-length", type=int, required=True, help="Length of the model's input (causal: of the row), in ids."
)
@click.option(
    "--packing",
    type=click.Choice(["concatenate", "best-fit"]),
    default="concatenate",
    show_default=True,
    help="best-fit (causal only): cut only documents that are longer than a row; rows may be short.",
)
@click.option("--bos/--no-bos", default=False, show_default=True, help="Put BOS before every document.")
@click.option("--eos/--no-eos", default=True, show_default=True, help="Put EOS after every document.")
@click.option(
    "--character-borders",
    is_flag=True,
    help="Byte tokenizers: cut rows only between characters, so rows may be up to three ids short.",
)
@click.option(
    "--window-groups", type=int, help="Number of row groups that training shuffles together. [default: 256]"
)
@click.option(
    "--validation-fraction", type=float, help="Share of the documents held out for validation. [default: 0.01]"
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the split, the noise and best-fit's order."
)
@out_option
@pipeline_options
def build(
    ctx: click.Context,
    sources: list[DocumentSource],
    tokenizer: str,
    objective: str,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Tokenize documents, pack them into rows of a fixed size, and apply the objective. Every id is accounted for."""
    from tamiz.stages.common import Context
    from tamiz.stages.shards import shards_stage

    common = {name: values.pop(name) for name in COMMON}
    settings = chosen(OBJECTIVES, objective, values, common)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    report = shards_stage(sources, tokenizer, Home.of(out), settings, context)
    summarise([report], "Shards")


command.add_command(inspect_command)
