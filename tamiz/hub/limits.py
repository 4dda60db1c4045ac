"""What the Hub's limits forbid, or advise against (its page "Storage limits"), told before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from corpora.errors import TamizError
from tamiz.hub.record import Item

MOST_FILE, LARGE_FILE = 500 * 10**9, 50 * 10**9  # bytes
MOST_FILES, MOST_IN_FOLDER = 100_000, 10_000


def check(items: Sequence[Item]) -> list[str]:
    """Advice, a line each. Raises TamizError for what the Hub refuses."""
    largest = max(items, key=lambda each: each.bytes)
    if largest.bytes > MOST_FILE:
        raise TamizError(f"{largest.path} has {largest.bytes:,} bytes; the Hub takes files up to {MOST_FILE:,}")
    folder, number = Counter(each.path.rpartition("/")[0] for each in items).most_common(1)[0]
    if number > MOST_IN_FOLDER:
        raise TamizError(
            f"{folder or 'the folder'} has {number:,} files; the Hub takes up to {MOST_IN_FOLDER:,} in one"
        )
    advice = []
    if largest.bytes > LARGE_FILE:
        advice.append(f"{largest.path} has more than {LARGE_FILE:,} bytes: only with hf_xet does the Hub take it")
    if len(items) > MOST_FILES:
        advice.append(f"{len(items):,} files: the Hub advises against more than {MOST_FILES:,} in a repository")
    return advice
