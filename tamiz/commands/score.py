"""tamiz score"""

from __future__ import annotations

import click

from corpora.documents.sources import DocumentSource
from corpora.home import Home
from tamiz.commands._summary import summarise
from tamiz.options import BEAM, Named, document_options, out_option, pipeline_options, runner_settings, settings


@click.command(context_settings=BEAM)
@document_options
@click.option(
    "--lm",
    "models",
    multiple=True,
    type=Named(),
    required=True,
    metavar="[LANGUAGE=]LM.bin...",
    help="A KenLM file, or one for each language: es=es.bin pt=pt.bin.",
)
@click.option(
    "--language-column",
    metavar="C",
    help="Column or field with each document's language. [default: found in the file's path, like es in c4-es.jsonl]",
)
@click.option(
    "--tokenizer",
    "tokenizers",
    multiple=True,
    type=Named(),
    metavar="[LANGUAGE=]FILE",
    help="The spiece.model of a language model that has no LM.json.",
)
@click.option(
    "--mode",
    type=click.Choice(["lines", "ccnet", "bertin"]),
    help="How text is split into sentences. [default: as in LM.json]",
)
@click.option(
    "--trust-lm",
    is_flag=True,
    help="Open a trie, quantised, rest-cost or ARPA file whose sha256 isn't recorded yet, and record it. Without "
    "this flag the file is refused, because kenlm loads these types and can crash on a damaged file.",
)
@click.option(
    "--lower-case/--no-lower-case",
    default=True,
    show_default=True,
    help="Whether text is made lower case, for models of pieces without LM.json: CCNet's need it, edugp's don't.",
)
@click.option(
    "--remove-accents/--no-remove-accents",
    default=True,
    show_default=True,
    help="Whether accents are removed, for models of pieces without LM.json: CCNet's need it, edugp's don't.",
)
@click.option(
    "--allow-unknown", is_flag=True, help="Score even if the model doesn't know most of the documents' tokens."
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
    lower_case: bool,
    remove_accents: bool,
    allow_unknown: bool,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
) -> None:
    """Write the perplexity of every document to OUT: one small Parquet file per input, with one row per input row.

    With several models, each document is scored by the model of its language. A document is rejected if it has no
    language or there is no model for its language.
    """
    from corpora.perplexity.lm_files import check_is_file
    from corpora.perplexity.routing import choose_models
    from corpora.text.normalise import Normaliser
    from pipelines.settings import ScoreSettings
    from tamiz.stages.common import Context
    from tamiz.stages.score import score_stage

    normaliser = Normaliser(lower_case, remove_accents)
    chosen = choose_models(models, tokenizers, mode, trust=trust_lm, normaliser=normaliser)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    asked = settings(ScoreSettings, mode=mode, language_column=language_column, allow_unknown=allow_unknown)
    for choice in chosen:  # at once, before Beam is imported
        check_is_file(choice.path)
    summarise([score_stage(sources, chosen, Home.of(out), asked, context)], "Scores")
