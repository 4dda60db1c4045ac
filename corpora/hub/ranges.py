"""Answers to requests for a range: some servers send the whole file, or something else."""

from __future__ import annotations

import re
from typing import Any

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


def is_range(response: Any, first: int, last: int, size: int) -> bool:
    """Whether an answer is exactly the bytes first to last (inclusive) of a file of `size` bytes."""
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if response.status_code != 206 or found is None:
        return False
    return (int(found[1]), int(found[2])) == (first, last) and found[3] in ("*", str(size))
