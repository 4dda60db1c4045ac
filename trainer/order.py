"""The order of an epoch's rows: a pure function of (seed, epoch, rows of each row group).

Row groups are permuted; runs of them that reach WINDOW_ROWS make a window; rows are permuted within a window. So a
split of up to WINDOW_ROWS rows is permuted whole, and a larger one is read once per epoch, a window at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from corpora import randomness

WINDOW_ROWS = 65_536  # at 626 uint16 ids a row: 82 MB in memory


class Window(NamedTuple):
    """Row groups read together. number: its place in the epoch; start: position of its
    first row; rows: how many it has."""

    number: int
    groups: tuple[int, ...]
    start: int
    rows: int


def permutation(length: int, seed: int, purpose: str, *identity: int) -> np.ndarray:
    """A keyed permutation, int64[length]. Sorting PCG64's raw words keeps it the same in every numpy."""
    bits = np.random.PCG64(randomness.digest(seed, purpose, *identity))
    return np.argsort(bits.random_raw(length), kind="stable")


def windows(group_rows: Sequence[int], seed: int, epoch: int, window_rows: int = WINDOW_ROWS) -> list[Window]:
    """The windows of an epoch, in order; together they hold each row group once."""
    found: list[Window] = []
    groups: list[int] = []
    start = rows = 0
    for group in permutation(len(group_rows), seed, "order-groups", epoch).tolist():
        groups.append(group)
        rows += group_rows[group]
        if rows >= window_rows:
            found.append(Window(len(found), tuple(groups), start, rows))
            groups, start, rows = [], start + rows, 0
    if rows:
        found.append(Window(len(found), tuple(groups), start, rows))
    return found


def rows_of(window: Window, seed: int, epoch: int) -> np.ndarray:
    """The order of the rows within a window, int64[window.rows]: indices into its groups, joined."""
    return permutation(window.rows, seed, "order-rows", epoch, window.number)
