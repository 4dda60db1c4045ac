"""tamiz sample"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click

from corpora import manifest
from corpora.documents.groups import Per
from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument
from corpora.home import Home, Place
from corpora.sampling.methods import DEFAULT_METHOD, METHODS
from corpora.sampling.methods.base import REST, Format
from tamiz.choice_options import choice_flags, choice_option, chosen
from tamiz.commands._summary import summarise
from tamiz.options import (
    BEAM,
    FolderPath,
    document_options_beside_format,
    out_option,
    pipeline_options,
    runner_settings,
)

N = TypeVar("N", int, float)


@click.command(context_settings=BEAM)
@document_options_beside_format
@click.option("--scores", required=True, type=FolderPath(anywhere=True), help="The folder that `tamiz score` wrote.")
@click.option(
    "--annotations",
    multiple=True,
    type=FolderPath(anywhere=True),
    metavar="DIR...",
    help="Folders of annotations: a false `keep` drops the document, a `language` is used if the scores name none, "
    "other columns are written into the sample.",
)
@choice_option(METHODS, "--method", default=DEFAULT_METHOD)
@choice_flags(METHODS)
@click.option(
    "--per",
    type=click.Choice(get_args(Per)),
    default="language",
    show_default=True,
    help="Fit each of these separately; a source is an input's name up to its shard number.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="[GROUP=]SHARE",
    help="Share of the scored documents to keep; the factor is computed from it. GROUP is a language, a source or, "
    "with --per language,source, a pair such as es/wiki; repeat the flag for several groups. Without GROUP, the "
    "share applies to all other groups.",
)
@click.option(
    "--keep-documents",
    multiple=True,
    metavar="[GROUP=]N",
    help="Expected number of documents to keep. Without GROUP, it applies to all other groups together.",
)
@click.option(
    "--factor",
    type=float,
    help="Multiplies the keep probability. BERTIN used 0.78 (gaussian), 1.5e5 (stepwise) and 0.5 (random).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draw.")
@click.option(
    "--format",
    type=click.Choice(get_args(Format)),
    default="parquet",
    show_default=True,
    help="Format of the sample.",
)
@click.option(
    "--columns",
    metavar="all|none|NAME,..",
    help="The inputs' columns that the sample has besides text, timestamp and url. The fields of a JSON object are "
    "one column `metadata`; named ones are a column each. [default: all that schemas and first rows show]",
)
@click.option(
    "--source-by",
    default="file",
    show_default=True,
    metavar="file|host|path|column:NAME",
    help="Which sources the kept share is shown for: the input's name up to its shard number (file), the host of the "
    "URL (host), its host and first folder (path), or the values of a column.",
)
@click.option(
    "--part-bytes",
    type=int,
    metavar="N",
    help="Join the parts of all work items, in order, into files of at most N bytes, as stored; of one source each. "
    "[default: one file per work item]",
)
@out_option
@pipeline_options
def command(
    ctx: click.Context,
    sources: list[DocumentSource],
    scores: Place,
    annotations: tuple[Place, ...],
    method: str,
    keep: tuple[str, ...],
    keep_documents: tuple[str, ...],
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Keep each document with a probability that depends on its perplexity. Sampling again needs no new scores.

    Each language is fitted separately, because perplexities of different languages can't be compared.
    """
    from tamiz.stages.common import Context
    from tamiz.stages.sample import sample_stage

    common = {
        "keep": by_group("--keep", keep, float),
        "keep_documents": by_group("--keep-documents", keep_documents, int),
        **{name: values.pop(name) for name in ("per", "factor", "seed", "format", "source_by", "part_bytes")},
        "columns": columns_of(values.pop("columns")),
    }
    settings = chosen(METHODS, method, values, common)
    running = runner_settings(ctx, runner, workers)  # first: the amount may stand behind a flag that was misspelt
    if settings.amount_is_missing:
        raise BadArgument(
            f"how much to keep is missing: {method} needs --keep SHARE, --keep-documents N or --factor F, "
            "such as --keep 0.125"
        )
    context = Context(running, rebuild, max_rejected)
    manifest.read_finished(scores, "score")  # at once, before Beam is imported
    summarise([sample_stage(sources, scores, Home.of(out), settings, context, annotations)], "Sample")


def columns_of(given: str | None) -> str | list[str] | None:
    """`id,license` -> ["id", "license"]; `all` and `none` stay words."""
    return given if given in (None, "all", "none") else given.split(",")


def by_group(flag: str, given: Sequence[str], kind: Callable[[str], N]) -> N | dict[str, N] | None:
    """`es=0.2`, `0.1` -> {"es": 0.2, "*": 0.1}; a single value without a group stays a number. Raises BadArgument."""
    values: dict[str, N] = {}
    for text in given:
        group, equals, number = text.rpartition("=")
        name = group if equals else REST
        if name in values:
            raise BadArgument(f"{flag} {text}: {group or 'a value without a group'} is given twice")
        try:
            values[name] = kind(number)
        except ValueError:
            shape = "N" if kind is int else "SHARE"
            raise BadArgument(f"{flag} {text!r} must be {shape} or GROUP={shape}, such as es=0.2 or 0.1") from None
    if not values:
        return None
    return values[REST] if list(values) == [REST] else values
