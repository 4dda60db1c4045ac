"""corpora.rows.order: the order equals its plain twin, and mixes files."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.rows import order
from tests.reference.epoch_order import groups_in_order, rows_in_order

FILES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=1, max_size=8)  # rows of their groups


def flat(files):
    return [n for n, groups in enumerate(files) for _ in groups], list(itertools.chain(*files))


@settings(max_examples=60, deadline=None)
@given(FILES, st.integers(0, 2**40), st.integers(0, 5), st.integers(1, 12))
def test_the_order_equals_its_twin(files, seed, epoch, window_groups):
    group_files, group_rows = flat(files)
    assert order.spread(group_files, seed, epoch).tolist() == groups_in_order(group_files, seed, epoch)
    windows = order.windows(group_files, group_rows, seed, epoch, window_groups)
    found = []
    for window in windows:
        rows = [(group, row) for group in window.groups for row in range(group_rows[group])]
        found += [rows[i] for i in order.rows_of(window, seed, epoch)]
    assert found == rows_in_order(group_files, group_rows, seed, epoch, window_groups)
    for position in range(len(found)):
        window = order.window_at(windows, position)
        assert window.start <= position < window.start + window.rows


@settings(max_examples=60, deadline=None)
@given(FILES, st.integers(0, 2**40), st.integers(1, 12))
def test_windows_hold_every_group_once_adjoin_and_are_even(files, seed, window_groups):
    group_files, group_rows = flat(files)
    windows = order.windows(group_files, group_rows, seed, 0, window_groups)
    assert sorted(itertools.chain(*(w.groups for w in windows))) == list(range(len(group_rows)))
    starts = list(itertools.accumulate((w.rows for w in windows), initial=0))
    assert [w.start for w in windows] == starts[:-1]
    assert starts[-1] == sum(group_rows)
    sizes = {len(w.groups) for w in windows}
    assert max(sizes) <= window_groups
    assert max(sizes) - min(sizes) <= 1


def least_files(counts, seed=0, epoch=0, window_groups=256):
    """The fewest different files in a window, of files with so many row groups."""
    group_files = np.repeat(np.arange(len(counts)), counts)
    windows = order.windows(group_files, np.ones(len(group_files), int), seed, epoch, window_groups)
    return min(len(set(group_files[list(w.groups)].tolist())) for w in windows)


@pytest.mark.parametrize("files", [64, 65, 100, 128, 200, 256, 300, 1000, 5000])
@pytest.mark.parametrize("groups", [4, 7, 40])
def test_a_window_mixes_at_least_64_files(files, groups):
    for epoch in range(3):
        assert least_files([groups] * files, epoch=epoch) >= (files if files <= 100 else 100)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 12), st.lists(st.integers(1, 400), max_size=200))
def test_64_large_files_are_in_every_window_whatever_the_others(seed, windows, others):
    """Files with three groups for each window, beside small ones: a random permutation leaves some out."""
    spare = 64 * windows  # what 64 such files leave of `windows` windows of 256 groups
    small = [n for n, total in zip(others, itertools.accumulate(others), strict=True) if total <= spare]
    assert least_files([3 * windows] * 64 + small, seed) >= 64


def test_a_random_permutation_mixes_fewer_files():
    """So the claim above is not met by chance."""
    group_files = np.repeat(np.arange(64), 32)
    shuffled = np.random.default_rng(0).permutation(group_files)
    assert min(len(set(w)) for w in shuffled.reshape(-1, 256).tolist()) < 64
    assert least_files([32] * 64) == 64


def test_epochs_and_seeds_differ():
    group_files = np.repeat(np.arange(20), 10)
    found = [order.spread(group_files, seed, epoch).tolist() for seed in range(3) for epoch in range(3)]
    assert len({tuple(f) for f in found}) == 9


def test_the_order_is_pinned():
    """A change of it changes every training: it needs a new order.VERSION, and a word in the changelog."""
    assert order.permutation(8, 0, "order-rows", 0, 0).tolist() == [4, 6, 5, 3, 7, 1, 0, 2]
    assert order.VERSION == 2
    assert order.spread([0, 0, 0, 1, 1, 2, 2, 2], 0, 0).tolist() == [5, 1, 4, 0, 7, 3, 6, 2]


def test_a_million_row_groups_are_ordered_in_seconds():
    """2**18 ids each: 2.6e11 ids, in less than a second here."""
    group_files = np.repeat(np.arange(10_000), 100)
    windows = order.windows(group_files, np.full(1_000_000, 128), 0, 0, 256)
    assert order.window_at(windows, 64_000_000).start <= 64_000_000
    assert windows[-1].start + windows[-1].rows == 128_000_000
