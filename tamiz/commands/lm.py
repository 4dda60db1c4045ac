"""tamiz lm"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument
from corpora.files import is_local
from tamiz.commands._summary import summarise
from tamiz.groups import Group
from tamiz.log import log
from tamiz.options import BEAM, Named, OutputPath, document_options, pipeline_options, runner_settings, settings


@click.group(cls=Group)
def command() -> None:
    """Train a language model."""


@command.command(context_settings=BEAM)
@document_options
@click.option("--tokenizer", type=Named(), help="The spiece.model that splits lines into pieces.")
@click.option(
    "--train-tokenizer", type=int, help="First train a unigram tokenizer with this many pieces. [default: 32000]"
)
@click.option("--words", is_flag=True, default=None, help="Raw words: no normaliser, no tokenizer.")
@click.option(
    "--skip-symbols",
    is_flag=True,
    default=None,
    help="With --words: leave out the words <s>, </s> and <unk>, which are an error otherwise.",
)
@click.option(
    "--mode", type=click.Choice(["lines", "ccnet"]), help="How text is split into sentences. [default: lines]"
)
@click.option("--order", type=int, help="The longest n-gram, 2 to 6. [default: 5]")
@click.option("--prune", metavar="A,B,..", help="For each order, drop n-grams that occur at most this often.")
@click.option("--memory", help="Memory for arrays; larger arrays go to temporary files. [default: 2G]")
@click.option("--arpa", metavar="FILE", type=OutputPath(), help="Also write the model as an ARPA file.")
@click.option(
    "--out",
    required=True,
    type=OutputPath(anywhere=True),
    metavar="LM.bin",
    help="File of the model; its other files are written next to it.",
)
@pipeline_options
def train(
    ctx: click.Context,
    sources: list[DocumentSource],
    prune: str | None,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Estimate an interpolated modified Kneser-Ney model. OUT is LM.bin, a KenLM probing binary."""
    from corpora.perplexity.settings import LmSettings
    from tamiz.stages.common import Context
    from tamiz.stages.lm import lm_stage

    if values["words"] and values["mode"]:
        raise BadArgument("--words excludes --mode: raw words are scored in mode bertin")
    chosen = settings(LmSettings, prune=_prune(prune), **values)
    if not out:
        raise BadArgument("--out is empty: name a file that ends in .bin")
    if is_local(out):
        log.beside(Path(out))
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    summarise([lm_stage(sources, Path(out) if is_local(out) else out, chosen, context)], "Language model")


def _prune(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadArgument(f"--prune {text!r} must be whole numbers, A,B,..") from None
