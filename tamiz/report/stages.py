"""The manifests of a run's stages as tables."""

from __future__ import annotations

from typing import Any

from corpora import manifest, nearby
from corpora.home import Home, Place
from tamiz.console import size
from tamiz.report.html import checksum, escaped, pairs
from tamiz.report.values import name_of, text_of
from tamiz.stages import ordered
from tamiz.stages.common import damaged_inputs

_MOST_DAMAGED = 20
_COUNTS = {"read": "rows read", "kept": "documents", "sampled_out": "documents sampled out"}
_SAME = {"bytes_seen": "bytes", "documents": "scored", "documents_seen": "documents", "energy_seconds": "seconds"}
_SAMPLER = ("groups", "kernel", "quartiles", "kept_shares", "composition", "expected_share")  # they have a section
_ON_CARDS = ("perplexities", "evaluation")
_ELSEWHERE = ("files", *_ON_CARDS, "flat_warning", "lost_warnings", *_SAMPLER)


def homes(run: Place) -> dict[str, Home]:
    """Title -> folder, for the stages of a run that have a manifest; for shards by source, each source's."""
    found = {}
    for stage in ordered():
        folder = Home.of(run) / stage.folder
        if folder.exists(manifest.NAME):
            found[stage.title] = folder
        else:
            found |= {f"{stage.title}: {name}": folder / name for name in nearby.inside(folder, manifest.NAME)}
    return found


def section(title: str, content: manifest.Manifest) -> str:
    rows = {**_counts(content.counts), **_facts(content)}
    rows["files"] = f"{len(content.files):,}, {size(sum(r.bytes for r in content.files))}"
    listed = [*rows.items(), *(("damaged", line) for line in damaged_inputs(content)[:_MOST_DAMAGED])]
    if len(content.damaged) > _MOST_DAMAGED:
        listed.append(("damaged", f"{len(content.damaged) - _MOST_DAMAGED} more files"))
    listed.append(("fingerprint", checksum(content.fingerprint)))
    return f"<h3>{escaped(title)}</h3>{pairs(('what', 'value'), listed)}"


def _counts(counts: dict[str, Any]) -> dict[str, str]:
    names = _COUNTS | ({"kept": "documents kept"} if counts.get("sampled_out") else {})
    rows = {name: f"{counts[key]:,}" for key, name in names.items() if counts.get(key)}
    return rows | {f"rejected: {reason}": f"{n:,}" for reason, n in counts.get("rejected", {}).items()}


def _facts(content: manifest.Manifest) -> dict[str, str]:
    """Numbers, short texts, lists of numbers and small tables; not what is larger, or on the page already."""
    rows = {}
    for key, value in content.facts.items():
        shown = text_of(key, value)
        if shown and key not in _ELSEWHERE and not _repeats(key, value, content):
            rows[name_of(key)] = shown
    return rows


def _repeats(key: str, value: Any, content: manifest.Manifest) -> bool:
    """Whether a count, or another fact, says the same."""
    return value in (content.counts.get(key), content.facts.get(_SAME.get(key, "")))
