"""What `calibrate` says of each source: its quartiles, and whether a sampler would keep next to nothing of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from corpora.documents.groups import Per, group_name
from corpora.perplexity.calibration import Calibration
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods import read_curve
from corpora.sampling.quartiles import is_lost, lost_text
from corpora.sampling.solve import quartiles
from corpora.sampling.sources import OTHERS, SHOWN

WARNINGS_SHOWN = 4

Samplers = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Group of `language` -> share to keep -> label -> facts of the sampler, as in calibration.json."""


def source_facts(by: str, sources: Calibration, samplers: Samplers) -> dict[str, Any]:
    """The largest sources, ties by name, each language by itself; and warnings about all sources."""
    ordered = sorted(sources.groups, key=lambda key: (key[1] == OTHERS, -sources.groups[key].total, key))
    several = len({language for language, _ in sources.groups}) > 1
    level: Per = "language,source" if several else "source"
    groups = {
        group_name(level, *key): {
            "language": key[0],
            "source": key[1],
            "documents": sources.groups[key].total,
            "boundaries": list(quartiles(sources.groups[key])),
        }
        for key in ordered[:SHOWN]
    }  # fmt: skip
    lost = list(_lost(sources, samplers))
    more = len(lost) - WARNINGS_SHOWN
    said = [f"and {more:,} more sources would be kept below 1%, some by several samplers"] if more > 0 else []
    return {
        "by": by,
        "documents": sources.total,
        "count": len(ordered),
        "groups": groups,
        "warnings": [*lost[:WARNINGS_SHOWN], *said],
    }


def _lost(sources: Calibration, samplers: Samplers) -> Iterator[str]:
    """A line for each source of which a sampler, fitted to each language, keeps next to nothing."""
    if len({source for _, source in sources.groups}) < 2:
        return
    of_source: dict[str, dict[str, LogHistogram]] = defaultdict(dict)
    for (language, source), histogram in sources.groups.items():
        of_source[source][group_name("language", language, source)] = histogram
    for keep, label in _fitted(samplers):
        curves = {name: _curve(samplers[name][keep][label]) for name in samplers}
        advice = next((curve.advice_if_lost for curve in curves.values() if curve), None)
        if advice is None:
            continue
        for source, parts in sorted(of_source.items(), key=lambda pair: (-_total(pair[1].values()), pair[0])):
            documents = _total(parts.values())
            share = math.fsum(_kept(curves[name], parts[name]) for name in parts) / documents
            if source != OTHERS and is_lost(share, documents, float(keep)):
                part = f"of the source {source} ({documents:,} documents), {lost_text(share)}"
                yield f"{label}, keep {keep}: {part}; {advice}"


def _fitted(samplers: Samplers) -> list[tuple[str, str]]:
    """The pairs of share and label that every language has."""
    some = next(iter(samplers.values()))
    return [(keep, label) for keep, labels in some.items() for label in labels]


def _curve(facts: Mapping[str, Any]) -> Curve | None:
    return read_curve(facts["kernel"]) if "kernel" in facts else None


def _kept(curve: Curve | None, scores: LogHistogram) -> float:
    """The expected number of documents; all of them if the sampler can't be fitted."""
    return (1.0 if curve is None else curve.expected_share(scores)) * scores.total


def _total(parts: Iterable[LogHistogram]) -> int:
    return sum(part.total for part in parts)
