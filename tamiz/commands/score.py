"""tamiz score"""

from __future__ import annotations

from pathlib import Path

import click

from corpora.documents.sources import DocumentSource
from tamiz.commands._summary import summarise
from tamiz.options import BEAM, document_options, out_option, pipeline_options, runner_settings, settings


@click.command(context_settings=BEAM)
@document_options
@click.option(
    "--lm",
    "models",
    multiple=True,
    required=True,
    metavar="[LANGUAGE=]LM.bin...",
    help="A KenLM file; or one for each language, as es=es.bin pt=pt.bin.",
)
@click.option(
    "--language-column",
    metavar="C",
    help="Column or field that says a document's language. Default: its file's path does (es in c4-es.jsonl).",
)
@click.option(
    "--tokenizer",
    "tokenizers",
    multiple=True,
    metavar="[LANGUAGE=]FILE",
    help="spiece.model of a model that brings no LM.json.",
)
@click.option("--mode", type=click.Choice(["lines", "ccnet", "bertin"]), help="Default: what LM.json says.")
@click.option(
    "--trust-lm",
    is_flag=True,
    help="Open a trie, quantised, rest-cost or ARPA file that has no sha256 recorded, and record it. Without, such a "
    "file is refused: kenlm loads it, and a damaged one can crash it.",
)
@out_option
@pipeline_options
def command(
    ctx: click.Context,
    sources: list[DocumentSource],
    models: tuple[str, ...],
    language_column: str | None,
    tokenizers: tuple[str, ...],
    mode: str | None,
    trust_lm: bool,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
) -> None:
    """Write the perplexity of every document to OUT, one small Parquet file per input, aligned row by row.

    With several models, each document is scored by that of its language; one without language, or whose language
    has no model, is rejected.
    """
    from corpora.perplexity.routing import choose_models
    from pipelines.settings import ScoreSettings
    from tamiz.stages.common import Context
    from tamiz.stages.score import score_stage

    chosen = choose_models(models, tokenizers, mode, trust=trust_lm)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    asked = settings(ScoreSettings, mode=mode, language_column=language_column)
    summarise([score_stage(sources, chosen, Path(out), asked, context)], "Scores")
