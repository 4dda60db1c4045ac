"""Where rows of an epoch lie: file and row number. For messages; reads no rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from corpora.rows import order
from corpora.rows.shards import Shards


def stored_places(
    shards: Shards, split: str, seed: int, epoch: int, positions: Iterable[int]
) -> list[tuple[str, int]]:
    """(path of the file below the folder, number of the row in it) of positions in an epoch's order, from 0."""
    reader = shards.split(split)
    planned = order.windows(reader.group_files, reader.group_rows, seed, epoch, shards.facts.window_groups)
    found = []
    for position in positions:
        window = order.window_at(planned, position)
        row = int(order.rows_of(window, seed, epoch)[position - window.start])
        ends = np.cumsum(reader.group_rows[list(window.groups)])
        inside = int(np.searchsorted(ends, row, side="right"))
        name, first, rows = reader.identity(window.groups[inside])
        found.append((name, first + row - (int(ends[inside]) - rows)))
    return found
