"""tamiz tokenizer"""

from __future__ import annotations

from typing import Any

import click

from corpora.documents.sources import DocumentSource
from corpora.home import Home
from tamiz.commands._summary import summarise
from tamiz.commands.tokenizer_eval import command as eval_command
from tamiz.groups import Group
from tamiz.options import BEAM, document_options, out_option, pipeline_options, runner_settings, settings


@click.group(cls=Group)
def command() -> None:
    """Train a tokenizer that AutoTokenizer loads, or compare tokenizers."""


@command.command(context_settings=BEAM, short_help="Train a tokenizer on documents.")
@document_options
@click.option(
    "--kind",
    type=click.Choice(["unigram", "bpe", "bytes"]),
    required=True,
    help="The algorithm; bytes (ByT5's) learns nothing.",
)
@click.option(
    "--vocab-size", type=int, help="Number of ids, --extra-ids included. [default: 5000; bytes: 259 + extra ids]"
)
@click.option("--lowercase/--no-lowercase", default=False, help="Lowercase all text, in the normaliser.")
@click.option(
    "--extra-ids", type=int, default=0, show_default=True, help="Number of sentinels, which get the highest ids."
)
@click.option(
    "--character-coverage",
    type=float,
    help="Share of the characters that get a piece. [default: 0.9995; bpe: 0.9999]",
)
@click.option(
    "--most-words",
    type=int,
    help="Maximum number of distinct words to learn from; rare words are subsampled. [default: 200000; bpe: 2000000]",
)
@click.option(
    "--sample",
    type=int,
    help="Learn from the lines of at most this many randomly drawn documents, instead of the words of all documents.",
)
@click.option(
    "--fill-unused/--no-fill-unused",
    default=False,
    help="If the text is too small for --vocab-size, fill up with pieces that no text yields. [default: no]",
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
    """Train a tokenizer on the words of all documents that --input names, or on a --sample of them."""
    from tamiz.stages.common import Context
    from tamiz.stages.tokenizer import tokenizer_stage
    from tokenizer_train.settings import TokenizerSettings

    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    report = tokenizer_stage(sources, Home.of(out), settings(TokenizerSettings, **values), context)
    summarise([report], "Tokenizer")


command.add_command(eval_command)
