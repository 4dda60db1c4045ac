"""Calibration of scores by language and source; it doesn't depend on how the input was split into files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from corpora import files, manifest
from corpora.documents.formats import refuse_missing_column
from corpora.documents.groups import Per, check_source_by, group_name, source_columns
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, DamagedFile
from corpora.home import Home, Place
from corpora.locks import locked
from corpora.manifest import Manifest
from corpora.perplexity.calibration import Calibration
from corpora.perplexity.source_scores import calibrate_sources
from corpora.sampling.bertin import BERTIN_KEEP
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods.buckets import CCNET_PERCENTILES
from corpora.sampling.recommended import POINTS, Recommendation, recommend
from corpora.sampling.solve import quartiles
from tamiz.report.inputs import scored_items
from tamiz.report.plots import draw_scores
from tamiz.source_facts import source_facts

FORMAT = "tamiz-calibration"
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 0.95, 0.99)
LEVELS: tuple[Per, ...] = get_args(Per)


def calibrate(
    scores: Place,
    keeps: Sequence[float] = (),
    progress: Callable[[int, int], None] | None = None,
    *,
    source_by: str | None = None,
    inputs: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Writes calibration.json and a plot for each language; the scores' manifest lists them as derived files.

    keeps: shares to fit samplers to, besides BERTIN's. source_by: a rule of `sources_by`; the result then has
    `sources`, too. inputs: patterns of the scored documents, which are read again for any rule but "file". Returns
    the content of calibration.json and the files written. Raises BadArgument for a share outside (0, 1] or an unknown
    rule, StaleOutput for inputs that weren't scored, DamagedFile if the folder has no finished scores or no scored
    document.
    """
    for keep in keeps:
        if not 0 < keep <= 1:
            raise BadArgument(f"keep is {keep}; it must be above 0 and at most 1")
    content = manifest.read_finished(scores, "score")
    items = _documents(source_by, inputs, content)
    with locked(scores, "calibrate"):
        if Home.of(scores).is_local:
            files.remove_temporary(Home.of(scores).folder)
        calibration = Calibration.of_scores(scores, content, progress)
        if not calibration.total:
            raise DamagedFile(f"{scores} has no scored document")
        sources = None
        if source_by:
            read = calibrate_sources(scores, items, source_by, progress) if items else calibration
            sources = source_by, read
        return _write(scores, content, calibration, keeps, sources)


def _documents(source_by: str | None, inputs: Sequence[str], content: Manifest) -> list[WorkItem]:
    """The items that must be read to tell the sources."""
    needed = source_by not in (None, "file")
    if inputs and not needed:
        raise BadArgument("--input is given, but only --source-by host, path or column:NAME reads documents")
    if not needed:
        return []
    try:
        check_source_by(str(source_by))
    except ValueError as error:
        raise BadArgument(str(error).replace("source_by", "source-by")) from None
    if not inputs:
        raise BadArgument(f"--source-by {source_by} needs the scored documents: name them with --input PATTERN")
    items = scored_items(inputs, content.made_from)
    for column in source_columns(str(source_by)):
        refuse_missing_column(items, column)
    return items


def _write(
    scores: Place,
    content: Manifest,
    calibration: Calibration,
    keeps: Sequence[float],
    sources: tuple[str, Calibration] | None,
) -> tuple[dict[str, Any], list[str]]:
    wanted = list(dict.fromkeys([BERTIN_KEEP, *keeps]))
    facts: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "scores": content.fingerprint,
        "documents": calibration.total,
        "per": {level: _groups(calibration, level, wanted) for level in LEVELS},
    }
    if sources:
        samplers = {name: group["samplers"] for name, group in facts["per"]["language"].items()}
        facts["sources"] = source_facts(*sources, samplers)
    home = Home.of(scores)
    with home.filled() as folder:
        path = folder / "calibration.json"
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(facts, order="sorted"), indent=1) + b"\n")
        made = [manifest.record(folder, each) for each in (path, *_draw(folder, calibration, wanted[-1]))]
    manifest.add_derived(home, made)
    return facts, [home.at(record.path) for record in made]


def _groups(calibration: Calibration, level: Per, keeps: Sequence[float]) -> dict[str, Any]:
    """Facts by group. Only the finest level stores histograms: the other levels are sums of them."""
    groups = calibration.by(level)
    facts = {name: _facts(histogram, keeps) for name, histogram in groups.items()}
    if level == "language,source":
        for (language, source), histogram in calibration.groups.items():
            facts[group_name(level, language, source)] |= {
                "language": language,
                "source": source,
                "histogram": histogram.to_builtins(),
            }
    return facts


def _facts(histogram: LogHistogram, keeps: Sequence[float]) -> dict[str, Any]:
    head, middle = (histogram.border(p / 100) for p in CCNET_PERCENTILES)
    return {
        "documents": histogram.total,
        "quantiles": {f"{q:g}": histogram.quantile(q) for q in QUANTILES},
        "boundaries": list(quartiles(histogram)),
        "head_below": head,
        "middle_below": middle,
        "samplers": {f"{keep:g}": _samplers(histogram, keep) for keep in keeps},
    }


def _samplers(histogram: LogHistogram, keep: float) -> dict[str, Any]:
    """Label -> the sampler's curve and its values at POINTS, or why it can't be fitted."""
    return {label: sampler_facts(sampler) for label, sampler in recommend(histogram, keep).items()}


def sampler_facts(sampler: Recommendation | str) -> dict[str, Any]:
    if isinstance(sampler, str):
        return {"not_fitted": sampler}
    points = dict(zip(POINTS, sampler.at_points, strict=True))
    return {"kernel": sampler.curve.to_builtins(), "factor_x_kernel": points}


def _draw(scores: Path, calibration: Calibration, keep: float) -> list[Path]:
    """Draws calibration.png, or one calibration-LANGUAGE.png per language; samplers are fitted to keep `keep`."""
    languages = calibration.by("language")
    drawn = []
    for name, histogram in languages.items():
        safe = re.sub(r"[^\w.]+", "_", name)
        path = scores / ("calibration.png" if len(languages) == 1 else f"calibration-{safe}.png")
        samplers = recommend(histogram, keep).items()
        curves = [(label, r.curve) for label, r in samplers if isinstance(r, Recommendation)]
        drawn.append(draw_scores(histogram, path, curves))
    return drawn
