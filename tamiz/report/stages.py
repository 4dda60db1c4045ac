"""The manifests of a run's stages as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora import manifest
from tamiz.report.html import escaped, table
from tamiz.stages import ordered

_LONGEST = 80  # characters of a value; longer values are not shown
_MOST_DAMAGED = 20


def homes(run: Path) -> dict[str, Path]:
    """Title -> folder, for the stages of a run that have a manifest."""
    folders = {stage.title: run / stage.folder for stage in ordered()}
    return {title: folder for title, folder in folders.items() if (folder / manifest.NAME).exists()}


def section(title: str, content: manifest.Manifest) -> str:
    rows = [*_counts(content.counts), *_facts(content.facts)]
    rows.append(("files", f"{len(content.files):,}"))
    rows.append(("bytes", f"{sum(r.bytes for r in content.files):,}"))
    rows += [("damaged", f"{d['file']}: {d['damage']}") for d in content.damaged[:_MOST_DAMAGED]]
    if len(content.damaged) > _MOST_DAMAGED:
        rows.append(("damaged", f"{len(content.damaged) - _MOST_DAMAGED} more files"))
    drawn = table(("", ""), rows, (False, True))
    return f'<h3>{escaped(title)}</h3>{drawn}<p class="soft"><code>{escaped(content.fingerprint)}</code></p>'


def _counts(counts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (name.replace("_", " "), f"{counts[name]:,}") for name in ("read", "kept", "sampled_out") if counts.get(name)
    ]
    return rows + [(f"rejected: {reason}", f"{n:,}") for reason, n in counts.get("rejected", {}).items()]


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Numbers, short texts and lists of numbers; anything larger is not shown."""
    rows = []
    for name, value in facts.items():
        shown = None if name == "files" else _shown(value)
        if shown is not None:
            rows.append((name.replace("_", " "), shown))
    return rows


def _shown(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}"
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    if isinstance(value, list) and 0 < len(value) <= 4 and all(isinstance(v, int | float) for v in value):
        return " / ".join(f"{v:,.4g}" for v in value)
    if isinstance(value, dict) and 0 < len(value) <= 4:
        return _pairs(value)
    return None


def _pairs(value: dict[str, Any]) -> str | None:
    if not all(isinstance(v, int | float | str) for v in value.values()):
        return None
    return ", ".join(f"{k} {v:,.6g}" if isinstance(v, int | float) else f"{k} {v}" for k, v in value.items())
