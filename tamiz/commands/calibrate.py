"""tamiz calibrate"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from corpora.home import Place
from tamiz.console import progress, say, table, warn
from tamiz.options import FolderPath, Named

SHOWN = 24  # groups in a table
SAMPLERS_SHOWN = 6  # groups whose samplers are printed


@click.command()
@click.argument("scores", type=FolderPath(anywhere=True))
@click.option("--keep", "keeps", type=float, multiple=True, metavar="SHARE",
              help="Also fit the samplers to this share, besides BERTIN's eighth. Repeatable.")  # fmt: skip
@click.option(
    "--source-by",
    metavar="file|host|path|column:NAME",
    help="Also show quartiles by source: the input's name up to its shard number (file), the host of the URL (host), "
    "its host and first folder (path), or the values of a column.",
)
@click.option("--input", "inputs", multiple=True, type=Named(), metavar="PATTERN...",
              help="The scored documents, which every --source-by but file needs to read again.")  # fmt: skip
@click.option("--bertin", is_flag=True, help="Also show BERTIN's published parameters at BERTIN's quartiles.")
def command(
    scores: Place, keeps: tuple[float, ...], source_by: str | None, inputs: tuple[str, ...], bertin: bool
) -> None:
    """Show quartiles, buckets and fitted samplers of a folder of scores, per language and source.

    Writes calibration.json and a plot for each language into the folder. As in CCNet, the head is below the 30th
    percentile and the middle below the 60th.
    """
    from tamiz.calibrate import calibrate

    with progress("calibrate") as update:
        facts, written = calibrate(scores, keeps, update, source_by=source_by, inputs=inputs)
    levels = facts["per"]
    _show_groups(facts)
    if "sources" in facts:
        _show_sources(facts["sources"])
    for name in _largest(levels["language"])[:SAMPLERS_SHOWN]:
        for keep, samplers in levels["language"][name]["samplers"].items():
            of = f" of {name}" if len(levels["language"]) > 1 else ""
            _show_samplers(f"Samplers that keep {keep}{of}, and the keep probability at", samplers)
    if len(levels["language"]) > SAMPLERS_SHOWN:
        say(f"samplers of {len(levels['language']) - SAMPLERS_SHOWN} more languages are in calibration.json")
    if bertin:
        _show_bertins()
    say(f"written: {', '.join(str(path) for path in written)}")


def _show_groups(facts: Mapping[str, Any]) -> None:
    languages, sources, pairs = (facts["per"][level] for level in ("language", "source", "language,source"))
    rows = _group_rows(languages)
    if len(sources) > 1:
        rows += _group_rows(pairs)
    header = ("group", "documents", "b0 (25%)", "median", "b2 (75%)", "head below", "middle below")
    table(f"{facts['documents']:,} scored documents", header, rows[:SHOWN])
    if len(rows) > SHOWN:
        say(f"{len(rows) - SHOWN} more groups are in calibration.json")


def _show_sources(sources: Mapping[str, Any]) -> None:
    rows = [
        (name, f"{one['documents']:,}", *(f"{number:,.6g}" for number in one["boundaries"]))
        for name, one in sources["groups"].items()
    ]
    header = ("source", "documents", "b0 (25%)", "median", "b2 (75%)")
    table(f"Sources by {sources['by']}: {sources['documents']:,} scored documents", header, rows[:SHOWN])
    if sources["count"] > SHOWN:
        say(f"of {sources['count']:,} sources, calibration.json has the {len(rows)} largest")
    for line in sources["warnings"]:
        warn(line)


def _group_rows(groups: Mapping[str, Any]) -> list[list[str]]:
    from corpora.documents.groups import UNKNOWN

    rows = []
    for name in _largest(groups):
        facts = groups[name]
        numbers = [*facts["boundaries"], facts["head_below"], facts["middle_below"]]
        shown = "all" if list(groups) == [UNKNOWN] else name
        rows.append([shown, f"{facts['documents']:,}", *(f"{number:,.6g}" for number in numbers)])
    return rows


def _largest(groups: Mapping[str, Any]) -> list[str]:
    return sorted(groups, key=lambda name: (-groups[name]["documents"], name))


def _show_samplers(title: str, samplers: Mapping[str, Any]) -> None:
    from corpora.sampling.recommended import POINTS

    rows = []
    for label, facts in samplers.items():
        if "not_fitted" in facts:
            say(f"{label}: {facts['not_fitted']}")
            continue
        points = [_probability(facts["factor_x_kernel"][point]) for point in POINTS]
        rows.append([label, _factor(facts["kernel"]), *points])
    table(title, ("sampler", "factor", *POINTS), rows)


def _factor(curve: Mapping[str, Any]) -> str:
    from corpora.sampling.methods import read_curve

    return f"{read_curve(curve).factor:.6g}"


def _probability(value: float) -> str:
    """Three digits; above 1, every document is kept."""
    if value > 1:
        return f"1 ({value:.3g})"
    return f"{value:.3f}" if value >= 0.1 or value < 5e-5 else f"{value:.3g}"


def _show_bertins() -> None:
    from corpora.sampling.bertin import BERTIN_BOUNDARIES
    from corpora.sampling.recommended import bertins
    from tamiz.calibrate import sampler_facts

    listed = ", ".join(f"{b:,.0f}" for b in BERTIN_BOUNDARIES)
    samplers = {label: sampler_facts(sampler) for label, sampler in bertins().items()}
    _show_samplers(f"BERTIN's parameters, at its quartiles of mC4-es ({listed})", samplers)
