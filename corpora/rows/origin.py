"""Where rows of an epoch lie: file and row number. For messages; reads no rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from corpora.rows import order
from corpora.rows.blend import Blend
from corpora.rows.shards import Shards


def stored_places(
    shards: Shards | Blend, split: str, seed: int, epoch: int, positions: Iterable[int]
) -> list[tuple[str, int]]:
    """(path of the file, number of the row in it) of positions in an epoch's order, from 0.

    The path is relative to the folder of shards; in a mixture, the name of the source comes before it.
    """
    if isinstance(shards, Shards):
        return _in_folder(shards, split, seed, epoch, positions)
    sources, numbers = shards.mixture(split).at(epoch, np.array(list(positions)))
    found = []
    for source, number in zip(sources.tolist(), numbers.tolist(), strict=True):
        folder = shards.sources[source]
        own_epoch, position = divmod(number, folder.facts.rows[split])
        ((name, row),) = _in_folder(folder, split, seed, own_epoch, [position])
        found.append((f"{shards.names[source]}/{name}", row))
    return found


def _in_folder(shards: Shards, split: str, seed: int, epoch: int, positions: Iterable[int]) -> list[tuple[str, int]]:
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
