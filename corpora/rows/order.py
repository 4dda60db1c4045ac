"""The order of an epoch's rows: a pure function of (seed, epoch, row), independent of ranks and batches.

Row groups first. Each file's groups are permuted and spread evenly over the epoch with jitter: the j-th of n lies
somewhere in [j/n, (j+1)/n). So neighbours come from as many different files as possible: if files are equal, K
consecutive groups touch all of them where there are at most K/2 files, and at least K/2 of them otherwise. Runs of at
most K groups make the windows, as even as possible; rows are permuted within their window. K is `window_groups` in
the shards' manifest.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora import randomness

VERSION = 2  # version of the order; a state saved under another version is refused

Ints = npt.NDArray[np.int64]


class Window(NamedTuple):
    """Row groups read together. number: its place in the epoch; groups: ascending; start: position of its
    first row; rows: how many it has."""

    number: int
    groups: tuple[int, ...]
    start: int
    rows: int


def permutation(length: int, seed: int, purpose: str, *identity: int) -> Ints:
    """A keyed permutation, int64[length]. Sorting PCG64's raw words keeps it the same in every numpy."""
    bits = np.random.PCG64(randomness.digest(seed, purpose, *identity))
    return np.argsort(bits.random_raw(length), kind="stable")


def spread(group_files: Sequence[int] | Ints, seed: int, epoch: int) -> Ints:
    """All groups in the epoch's order, int64[groups]. group_files: the file of each group, ascending."""
    files = np.asarray(group_files, np.int64)
    raw = np.random.PCG64(randomness.digest(seed, "order-groups", epoch)).random_raw(2 * len(files))
    permuted = np.lexsort((raw[: len(files)], files))  # sorted by file, random within a file
    _, first, count = np.unique(files, return_index=True, return_counts=True)
    rank = np.arange(len(files)) - np.repeat(first, count)
    jitter = (raw[len(files) :] >> np.uint64(11)) * 2.0**-53
    places = (rank + jitter) / np.repeat(count, count)
    return permuted[np.argsort(places, kind="stable")]


def windows(
    group_files: Sequence[int] | Ints, group_rows: Sequence[int] | Ints, seed: int, epoch: int, window_groups: int
) -> list[Window]:
    """The windows of an epoch, in order; together they contain each row group once. O(groups log groups)."""
    order = spread(group_files, seed, epoch)
    count = -(-len(order) // window_groups)
    planned: list[Window] = []
    start = 0
    for number in range(count):
        groups = np.sort(order[number * len(order) // count : (number + 1) * len(order) // count])
        rows = int(np.asarray(group_rows)[groups].sum())
        planned.append(Window(number, tuple(groups.tolist()), start, rows))
        start += rows
    return planned


def window_at(epoch: Sequence[Window], position: int) -> Window:
    """The window that contains a position of the epoch's order."""
    return epoch[bisect.bisect_right(epoch, position, key=lambda w: w.start) - 1]


def rows_of(window: Window, seed: int, epoch: int) -> Ints:
    """The order of the rows within a window, int64[window.rows]: indices into its groups, joined."""
    return permutation(window.rows, seed, "order-rows", epoch, window.number)
