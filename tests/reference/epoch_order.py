"""The order of an epoch, one row group and one row at a time: what corpora.rows.order does with arrays."""

from __future__ import annotations

import numpy as np

from corpora import randomness


def raw_words(count: int, seed: int, purpose: str, *identity: int) -> list[int]:
    return [int(w) for w in np.random.PCG64(randomness.digest(seed, purpose, *identity)).random_raw(count)]


def groups_in_order(group_files: list[int], seed: int, epoch: int) -> list[int]:
    """Each file's groups in random order, the j-th of n at j/n plus jitter; then all by place."""
    words = raw_words(2 * len(group_files), seed, "order-groups", epoch)
    keys, jitters = words[: len(group_files)], [(w >> 11) / 2**53 for w in words[len(group_files) :]]
    permuted, places = [], []
    for file in sorted(set(group_files)):
        mine = sorted((g for g, f in enumerate(group_files) if f == file), key=lambda g: keys[g])
        for rank, group in enumerate(mine):
            places.append((rank + jitters[len(permuted)]) / len(mine))
            permuted.append(group)
    return [permuted[i] for i in sorted(range(len(permuted)), key=lambda i: places[i])]


def rows_in_order(
    group_files: list[int], group_rows: list[int], seed: int, epoch: int, window_groups: int
) -> list[tuple[int, int]]:
    """(group, row in it) at every position of an epoch."""
    groups, found = groups_in_order(group_files, seed, epoch), []
    count = -(-len(groups) // window_groups)
    for number in range(count):
        window = sorted(groups[number * len(groups) // count : (number + 1) * len(groups) // count])
        rows = [(group, row) for group in window for row in range(group_rows[group])]
        words = raw_words(len(rows), seed, "order-rows", epoch, number)
        found += [rows[i] for i in sorted(range(len(rows)), key=lambda i: words[i])]
    return found
