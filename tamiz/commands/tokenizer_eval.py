"""tamiz tokenizer eval"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from corpora.documents.sources import DocumentSource
from corpora.home import Home
from tamiz.commands._fitting import fitting_tables
from tamiz.commands._summary import summarise
from tamiz.console import say, table
from tamiz.options import (
    BEAM,
    Named,
    OutputPath,
    document_options,
    log_folder,
    pipeline_options,
    runner_settings,
    settings,
)

SHOWN = 24  # groups in a table


@click.command(name="eval", context_settings=BEAM, short_help="Compare tokenizers on documents.")
@click.argument("tokenizers", nargs=-1, required=True, type=Named(), metavar="TOKENIZER...")
@document_options
@click.option("--language-column", metavar="C", help="Column or field with each document's language.")
@click.option(
    "--languages",
    metavar="A,B",
    help="Languages to look for in the inputs' paths, like es in c4-es.jsonl. [default: a folder or file named after "
    "a language, like es/ or ko-00001.jsonl]",
)
@click.option("--name", "names", metavar="A,B", help="What to call the tokenizers. [default: ends of their paths]")
@click.option("--documents", type=int, help="Use only this many randomly drawn documents.")
@click.option(
    "--auto/--no-auto",
    "compare_auto",
    default=True,
    help="Compare tokenizer.json with the engine of record; this is the slowest part. [default: auto]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draw.")
@click.option(
    "--out",
    type=OutputPath(anywhere=True),
    callback=log_folder,
    help="Folder for eval.json and eval.png. [default: none; the tables are only printed]",
)
@pipeline_options
def command(
    ctx: click.Context,
    tokenizers: tuple[str, ...],
    sources: list[DocumentSource],
    languages: str | None,
    names: str | None,
    out: str | None,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
    **values: Any,
) -> None:
    """Compare tokenizers on the documents that --input names, per language and source.

    TOKENIZER is a tokenizer's folder, a SentencePiece .model file, or byt5.

    \b
    fertility       tokens per word; words are separated by white space
    bytes/token     bytes of UTF-8 per token
    unknown         tokens that are <unk>
    continued       words of more than one token when encoded alone after a space
    ids used        share of all ids, special ones included, that occur
    not restored    documents that don't decode to their normalised or raw text
    AutoTokenizer   documents that tokenizer.json encodes differently; those
                    with a special token such as </s> are counted separately
    """
    from tamiz.stages.common import Context
    from tamiz.stages.evaluation import evaluation_stage
    from tokenizer_train.evaluation.settings import EvaluationSettings

    paths = _split_flags(ctx, tokenizers)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    named = tuple(name.strip() for name in languages.split(",")) if languages is not None else None
    asked = settings(EvaluationSettings, languages=named, **values)
    labels = names.split(",") if names is not None else None
    report = evaluation_stage(paths, sources, Home.of(out) if out else None, asked, context, labels)
    show(report.facts)
    summarise([report], "Evaluation")


def _split_flags(ctx: click.Context, given: Sequence[str]) -> list[str]:
    """Returns the tokenizers. Moves possible Beam flags and their values to where `runner_settings` looks."""
    first = next((n for n, text in enumerate(given) if text.startswith("-")), len(given))
    ctx.args = [*given[first:], *ctx.args]
    if not first:
        raise click.UsageError("name a tokenizer before other arguments")
    return list(given[:first])


def show(facts: Mapping[str, Any]) -> None:
    """Prints the tables."""
    groups = _groups(facts)
    shown = groups[:SHOWN]
    _show_text(shown)
    _show_lengths(shown)
    _show_losses(shown)
    if len(groups) > SHOWN:
        say(f"{len(groups) - SHOWN} more groups are in eval.json")


Groups = Sequence[tuple[str, Mapping[str, Any]]]


def _groups(facts: Mapping[str, Any]) -> Groups:
    """Languages, each followed by its sources if it has several. With several languages, the total comes first."""
    per = facts["per"]
    languages = sorted(per["language"].items(), key=_by_bytes)
    found = [*per["all"].items()] if len(languages) > 1 or len(per["source"]) > 1 else []
    pairs = sorted(per["language,source"].items(), key=_by_bytes)
    for language, figures in languages:
        sources = [(name, f) for name, f in pairs if name.startswith(f"{language}/")]
        known = language != "unknown"
        if known or not found:
            found.append((language if known else "all", figures))
        if len(sources) > 1 or not known:
            found += [(name if known else name.removeprefix("unknown/"), f) for name, f in sources]
    return found


def _by_bytes(item: tuple[str, Mapping[str, Any]]) -> tuple[int, str]:
    return -next(iter(item[1].values()))["bytes"], item[0]


def _show_text(groups: Groups) -> None:
    rows = []
    for name, by in groups:
        f = next(iter(by.values()))
        rows.append([name, *(f"{f[key]:,}" for key in ("documents", "bytes", "characters", "words"))])
    table("Text", ("", "documents", "bytes", "characters", "words"), rows)


def _show_lengths(groups: Groups) -> None:
    header = ("", "tokenizer", "tokens", "fertility", "bytes/token", "tokens/1,000 chars", "continued", "unknown")
    rows = []
    for name, by in groups:
        for n, (tokenizer, f) in enumerate(by.items()):
            ratios = (f["fertility"], f["bytes_per_token"], f["tokens_per_1000_characters"])
            digits = (3, 3, 1)
            numbers = ["-" if v is None else f"{v:,.{d}f}" for v, d in zip(ratios, digits, strict=True)]
            shares = (_share(f["continued_word_share"]), _share(f["unknown_rate"]))
            rows.append(["" if n else name, tokenizer, f"{f['tokens']:,}", *numbers, *shares])
    fitting_tables("Length", header, rows)


def _show_losses(groups: Groups) -> None:
    header = ("", "tokenizer", "ids used", "not restored (normalised)", "not restored (raw)", "AutoTokenizer differs")
    rows = []
    for name, by in groups:
        for n, (tokenizer, f) in enumerate(by.items()):
            trip = f["round_trip"]
            lost = [_of(trip[key], f["documents"]) for key in ("differs_from_normalised", "differs_from_raw")]
            used = f"{f['ids_used']:,} ({_share(f['vocabulary_use'])})"
            rows.append(["" if n else name, tokenizer, used, *lost, _auto(f["auto_tokenizer"])])
    fitting_tables("Vocabulary and round trip (documents)", header, rows)


def _share(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4%}" if 0 < value < 0.001 else f"{value:.1%}" if value > 0.1 else f"{value:.2%}"


def _of(number: int, documents: int) -> str:
    return f"{number:,} ({_share(number / documents if documents else None)})" if number else "0"


def _auto(facts: Mapping[str, int] | None) -> str:
    if facts is None:
        return "-"
    apart = [f"{facts['special']:,} with specials"] if facts["special"] else []
    apart += [f"{facts['too_long']:,} too long"] if facts["too_long"] else []
    return f"{facts['differs']:,} of {facts['compared']:,}" + (f"; {', '.join(apart)}" if apart else "")
