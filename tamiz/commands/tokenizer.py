"""tamiz tokenizer"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tamiz.commands._summary import summarise
from tamiz.commands.tokenizer_eval import command as eval_command
from tamiz.options import MAX_REJECTED, input_option, out_option, rebuild_option, settings


@click.group()
def command() -> None:
    """Train a tokenizer that AutoTokenizer loads; compare tokenizers."""


@command.command()
@input_option
@click.option("--kind", type=click.Choice(["unigram", "bytes"]), required=True)
@click.option("--vocab-size", type=int, help="Every id, --extra-ids included. [default: 5000]")
@click.option("--lowercase/--no-lowercase", default=False, help="Lowercase inside the normaliser.")
@click.option("--extra-ids", type=int, default=0, show_default=True, help="Sentinels, at the top ids.")
@click.option("--character-coverage", type=float, help="[default: 0.9995]")
@click.option("--sample", type=int, help="Learn from so many documents at most (a keyed draw).")
@click.option("--max-rejected", type=click.FloatRange(0, 1), default=MAX_REJECTED, show_default=True)
@out_option
@rebuild_option
def train(patterns: tuple[str, ...], out: str, rebuild: bool, max_rejected: float, **values: Any) -> None:
    """Train on the documents that --input names."""
    from tamiz.stages.common import Context
    from tamiz.stages.tokenizer import tokenizer_stage
    from tokenizer_train.settings import TokenizerSettings

    context = Context(rebuild=rebuild, max_rejected=max_rejected)
    report = tokenizer_stage(list(patterns), Path(out), settings(TokenizerSettings, **values), context)
    summarise([report], "Tokenizer")


command.add_command(eval_command)
