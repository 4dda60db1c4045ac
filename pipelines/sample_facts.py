"""What the manifest of a sample says: curves, kept shares of quartiles and sources, columns, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corpora.annotations.joining import AnnotationFolder
from corpora.documents.carried import REST
from corpora.documents.carrying import Carrying
from corpora.documents.groups import Per
from corpora.documents.joined import JoinedPart
from corpora.sampling.before_after import largest_groups
from corpora.sampling.groups import FittedGroup
from corpora.sampling.quartiles import QuartileCounts, flat_warning, lost_quartiles
from corpora.sampling.sources import SourceCounts
from pipelines.once import ItemResult
from pipelines.totals import Totals

WARNINGS_SHOWN = 4


def column_facts(carried: Carrying, results: list[ItemResult], written: str) -> dict[str, Any]:
    """The columns carried over from the inputs, and those left out; nothing if the inputs have no other columns.

    written: the sample's format. In JSON lines, the other fields of JSON objects stand by themselves, in no column.
    """
    late = {result.name: result.facts["left_out"] for result in results if "left_out" in result.facts}
    spread = [c.name for c in carried.columns if c.field == REST] if written.startswith("jsonl") else []
    columns = {name: kind for name, kind in carried.identity.items() if name not in spread}
    facts = {
        "carried": columns,
        "other_fields": bool(spread),
        "left_out": list(carried.left_out),
        "noticed_late": late,
    }
    return {"columns": {name: found for name, found in facts.items() if found}} if any(facts.values()) else {}


def null_in_the_first_part(results: Sequence[ItemResult], parts: Sequence[JoinedPart] = ()) -> list[str]:
    """Which of url and timestamp the first part with documents has only null in, unlike a later one.

    parts: what the items' parts were joined into; empty: each item has its own.
    """
    held = ([results[number] for number in part.items] for part in parts) if parts else ([each] for each in results)
    first: set[str] | None = None
    later = set[str]()
    for part in held:
        if any(result.kept for result in part):
            given = set[str]().union(*(result.facts["given"] for result in part))
            first = given if first is None else first
            later |= given
    return sorted(later - first) if first is not None else []


def sample_facts(
    per: Per,
    groups: Mapping[str, FittedGroup],
    annotations: Sequence[AnnotationFolder],
    results: list[ItemResult],
    totals: Totals,
) -> dict[str, Any]:
    """Facts for the manifest: all groups together, each group, and what annotations dropped."""
    counts = {name: totals.groups.get(name, QuartileCounts()) for name in groups}
    found = {name: _group_facts(groups[name], counts[name]) for name in groups}
    only = next(iter(found.values())) if len(found) == 1 else {"kernel": None, "quartiles": None}
    total = sum(counts.values(), QuartileCounts())
    sources = SourceCounts(totals.sources)
    return {
        "per": per,
        "kernel": only["kernel"],
        "quartiles": only["quartiles"],
        "scored": sum(group.scored for group in groups.values()),
        **_share_facts(total),
        "flat_warning": _flat_warning({name: facts["flat_warning"] for name, facts in found.items()}),
        "lost_warnings": _lost_warnings(groups, counts, sources, total.expected_share),
        "groups": found,
        "perplexities": largest_groups(totals.perplexities),
        "sources": sources.facts(),
        **({"annotations": _dropped(annotations, results)} if annotations else {}),
    }


def _dropped(annotations: Sequence[AnnotationFolder], results: list[ItemResult]) -> list[dict[str, Any]]:
    """How many documents each folder drops. A document that several folders drop counts in each."""
    return [
        {
            "folder": folder.path,
            "annotator": folder.annotator,
            "dropped": sum(result.facts["dropped"].get(folder.path, 0) for result in results),
        }
        for folder in annotations
    ]


def _group_facts(group: FittedGroup, counts: QuartileCounts) -> dict[str, Any]:
    advice = group.curve.advice_if_flat
    return {
        "kernel": group.curve.to_builtins(),
        "quartiles": list(group.quartiles),
        "scored": group.scored,
        **_share_facts(counts),
        "flat_warning": flat_warning(counts, advice) if advice else None,
    }


def _share_facts(counts: QuartileCounts) -> dict[str, Any]:
    """Facts about the documents that took part in the draw: each counts in a quartile of its own group."""
    return {
        "documents": sum(counts.documents),
        "kept": sum(counts.kept),
        "expected_share": counts.expected_share,
        "kept_shares": counts.kept_shares,
        "composition": counts.composition,
    }


def _flat_warning(warnings: Mapping[str, str | None]) -> str | None:
    """One line for all groups."""
    flat = [name for name, warning in warnings.items() if warning]
    if not flat:
        return None
    more = f" (and {len(flat) - 1} more)" if len(flat) > 1 else ""
    return f"{flat[0]}{more}: {warnings[flat[0]]}" if len(warnings) > 1 else warnings[flat[0]]


def _lost_warnings(
    groups: Mapping[str, FittedGroup], counts: Mapping[str, QuartileCounts], sources: SourceCounts, share: float
) -> list[str]:
    """A line for each quartile of a group and each source of which next to nothing is kept; the first few."""
    lost = []
    for name, group in groups.items():
        advice = group.curve.advice_if_lost
        lines = lost_quartiles(counts[name], advice) if advice else []
        lost += [f"{name}: {line}" if len(groups) > 1 else line for line in lines]
    advised = [group.curve.advice_if_lost for group in groups.values() if group.curve.advice_if_lost]
    of_sources = sources.lost(share, advised[0]) if advised else []
    return [*_first(lost, "quartiles of groups"), *_first(of_sources, "sources")]


def _first(lines: Iterable[str], what: str) -> list[str]:
    shown = list(lines)
    more = len(shown) - WARNINGS_SHOWN
    return [*shown[:WARNINGS_SHOWN], *([f"and {more:,} more {what} are kept below 1%"] if more > 0 else [])]
