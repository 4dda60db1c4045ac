"""tamiz tokenizer"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from corpora.documents.sources import DocumentSource
from tamiz.commands._summary import summarise
from tamiz.commands.tokenizer_eval import command as eval_command
from tamiz.options import BEAM, document_options, out_option, pipeline_options, runner_settings, settings


@click.group()
def command() -> None:
    """Train a tokenizer that AutoTokenizer loads; compare tokenizers."""


@command.command(context_settings=BEAM)
@document_options
@click.option("--kind", type=click.Choice(["unigram", "bpe", "bytes"]), required=True)
@click.option("--vocab-size", type=int, help="Every id, --extra-ids included. [default: 5000]")
@click.option("--lowercase/--no-lowercase", default=False, help="Lowercase inside the normaliser.")
@click.option("--extra-ids", type=int, default=0, show_default=True, help="Sentinels, at the top ids.")
@click.option("--character-coverage", type=float, help="[default: 0.9995; bpe: 0.9999]")
@click.option(
    "--most-words",
    type=int,
    help="Distinct words to learn from; rarer ones are drawn. [default: 200000; bpe: 2000000]",
)
@click.option(
    "--sample", type=int, help="Learn from lines of so many documents at most (a keyed draw), not from words."
)
@out_option
@pipeline_options
def train(
    ctx: click.Context,
    sources: list[DocumentSource],
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Train on the documents that --input names: on the words of all, or on a --sample."""
    from tamiz.stages.common import Context
    from tamiz.stages.tokenizer import tokenizer_stage
    from tokenizer_train.settings import TokenizerSettings

    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    report = tokenizer_stage(sources, Path(out), settings(TokenizerSettings, **values), context)
    summarise([report], "Tokenizer")


command.add_command(eval_command)
