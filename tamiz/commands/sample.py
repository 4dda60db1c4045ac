"""tamiz sample"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from corpora.errors import BadArgument
from tamiz.commands._summary import summarise
from tamiz.options import BEAM, input_option, out_option, pipeline_options, runner_settings, settings

N = TypeVar("N", int, float)


@click.command(context_settings=BEAM)
@input_option
@click.option("--scores", required=True, type=click.Path(path_type=Path), help="What `tamiz score` wrote.")
@click.option(
    "--annotations",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR...",
    help="Folders of annotations: a false `keep` drops the document, a `language` counts where the scores name none, "
    "other columns are written into the sample.",
)
@click.option(
    "--method",
    type=click.Choice(["gaussian", "stepwise", "random", "buckets"]),
    default="gaussian",
    show_default=True,
    help="BERTIN's samplers; or CCNet's head / middle / tail, whole, with a column `bucket`.",
)
@click.option(
    "--per",
    type=click.Choice(["language", "source", "language,source", "all"]),
    default="language",
    show_default=True,
    help="What is fitted apart; a source is an input's name up to its shard number.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="[GROUP=]SHARE",
    help="Share of the scored documents to keep; the factor is solved for. GROUP is a language, a source or, with "
    "--per language,source, es/wiki; repeat it; without GROUP it is for all others.",
)
@click.option(
    "--keep-documents",
    multiple=True,
    metavar="[GROUP=]N",
    help="Number of documents to keep, in expectation; without GROUP: of all other groups together.",
)
@click.option("--factor", type=float, help="BERTIN's: 0.78 (gaussian), 1.5e5 (stepwise), 0.5 (random).")
@click.option(
    "--width",
    metavar="W",
    help="Of the gaussian: bertin (4.5, as published), bertin-early (2/9, as its earlier commit: it sieves) or a "
    "number. [default: bertin]",
)
@click.option("--median", type=float, help="Centre of the gaussian. [default: fitted to the scores]")
@click.option("--boundaries", metavar="A,B,C", help="Of stepwise. [default: quartiles of the scores]")
@click.option("--percentiles", metavar="A,B", help="Of buckets: where middle and tail begin. [default: 30,60]")
@click.option("--keep-buckets", metavar="NAME,..", help="Of buckets: which are kept. [default: head,middle,tail]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--format", "file_format", type=click.Choice(["parquet", "jsonl.gz", "jsonl.zst"]), default="parquet")
@out_option
@pipeline_options
def command(
    ctx: click.Context,
    patterns: tuple[str, ...],
    scores: Path,
    annotations: tuple[Path, ...],
    keep: tuple[str, ...],
    keep_documents: tuple[str, ...],
    width: str | None,
    boundaries: str | None,
    percentiles: str | None,
    keep_buckets: str | None,
    file_format: str,
    out: str,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Keep each document with a probability that depends on its perplexity. Re-sampling never re-scores.

    Each language is fitted apart: perplexities of different languages don't compare.
    """
    from pipelines.settings import SampleSettings
    from tamiz.stages.common import Context
    from tamiz.stages.sample import sample_stage

    chosen = settings(
        SampleSettings,
        keep=by_group("--keep", keep, float),
        keep_documents=by_group("--keep-documents", keep_documents, int),
        width=_width(width),
        boundaries=_numbers("--boundaries", boundaries, 3),
        percentiles=_numbers("--percentiles", percentiles, 2),
        keep_buckets=keep_buckets.split(",") if keep_buckets else None,
        format=file_format,
        **values,
    )
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    summarise([sample_stage(list(patterns), scores, Path(out), chosen, context, annotations)], "Sample")


def by_group(flag: str, given: Sequence[str], kind: Callable[[str], N]) -> N | dict[str, N] | None:
    """`es=0.2`, `0.1` -> {"es": 0.2, "*": 0.1}; a single bare number stays one. Raises BadArgument."""
    from pipelines.settings import REST

    found: dict[str, N] = {}
    for text in given:
        group, equals, number = text.rpartition("=")
        name = group if equals else REST
        if name in found:
            raise BadArgument(f"{flag} {text}: {group or 'a value without a group'} is given twice")
        try:
            found[name] = kind(number)
        except ValueError:
            shape = "N" if kind is int else "SHARE"
            raise BadArgument(f"{flag} {text!r} must be {shape} or GROUP={shape}, such as es=0.2 or 0.1") from None
    if not found:
        return None
    return found[REST] if list(found) == [REST] else found


def _width(text: str | None) -> float | str | None:
    """A number, or what may be a name."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _numbers(flag: str, text: str | None, number: int) -> list[float] | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != number:
        shape = ",".join("ABC"[:number])
        raise BadArgument(f"{flag} {text!r} must be {'two' if number == 2 else 'three'} numbers, {shape}") from None
    return values
