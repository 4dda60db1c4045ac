"""The table of perplexity by host, folder or column, if the scores were calibrated so."""

from __future__ import annotations

import msgspec

from tamiz.report.folders import Scored
from tamiz.report.html import escaped, table


def sources_table(scored: Scored) -> str:
    """HTML from the calibration.json of these scores; empty if it has no sources but files."""
    try:
        facts = msgspec.json.decode(scored.scores.read_bytes("calibration.json"), type=dict[str, msgspec.Raw])
        sources = msgspec.json.decode(facts.get("sources", b"{}"))
        fresh = msgspec.json.decode(facts["scores"]) == scored.scored.fingerprint
    except (OSError, KeyError, msgspec.MsgspecError):
        return ""
    if not fresh or sources.get("by", "file") == "file":
        return ""
    rows = [
        (name, f"{one['documents']:,}", *(f"{value:,.4g}" for value in one["boundaries"]))
        for name, one in sources["groups"].items()
    ]
    if sources["count"] > len(rows):
        rows.append(("\N{HORIZONTAL ELLIPSIS}", f"{sources['count'] - len(rows):,} more sources", "", "", ""))
    header = ("source", "documents", "perplexity 25%", "50%", "75%")
    drawn = table(header, rows, (False, *[True] * 4))
    return f"<h3>Perplexity by {escaped(sources['by'])}</h3>{drawn}"
