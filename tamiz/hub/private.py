"""Paths of this machine in files that are to be published.

Manifests name inputs by their names, without folders; a recipe has the paths that the user gave, and the page of a
run shows its command line. Sealed files (manifests, recipe.json) and cards are published as they are, with a warning:
a reader needs them, and only the user can decide. The page is left out: it only shows what the rest says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tamiz.hub.record import Item

PAGE = "report/index.html"
_TEXT = (".json", ".jsonl", ".md", ".html", ".txt")
_MOST = 50_000_000  # bytes of a file that is searched


def found_in(items: Sequence[Item], folder: Path) -> dict[str, str]:
    """Path in the repository -> the first address in it below the user's home or the output folder."""
    places = {str(Path.home()), str(folder.resolve()), str(folder.resolve().parent)} - {"/", "/tmp"}
    pattern = re.compile("(?:" + "|".join(re.escape(place) for place in sorted(places)) + r")(?![\w.-])[^\s\"'<>,;]*")
    found = {}
    for each in items:
        if each.path.endswith(_TEXT) and each.bytes <= _MOST:
            content = each.source if isinstance(each.source, bytes) else each.source.read_bytes()
            match = pattern.search(content.decode(errors="replace"))
            if match:
                found[each.path] = match[0]
    return found
