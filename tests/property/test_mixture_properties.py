"""Mixtures: every prefix has each source's share to within a row, and nothing but the position decides a row."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from corpora.rows import ShardRows, mixture
from corpora.rows.mixture import Mixture, apportion
from tamiz.trainer import ShardDataset
from tests.make_shards import make_shards, row_numbers
from tests.reference import mixtures as twin

SIZES = {"a": 103, "b": 20, "c": 57, "d": 9, "e": 31, "f": 1, "g": 8, "h": 40}
COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=9)


def furthest_off(sources: np.ndarray, counts: list[int], epoch: int | None = None) -> float:
    """The largest |rows in the first P - P n_d / N| of any source and any P. epoch: N, if that isn't their number."""
    total, prefix = epoch or len(sources), np.arange(1, len(sources) + 1)
    return max(
        int(np.abs(np.cumsum(sources == source) * total - prefix * count).max()) / total
        for source, count in enumerate(counts)
    )


@settings(max_examples=150, deadline=None)
@given(COUNTS)
@example([34, 23, 16, 12])  # sorted by keys, these are off by more than a row
@example([700, 101, 101, 97, 1])
@example([1])
def test_every_prefix_is_within_a_row_of_its_shares(counts):
    sources = mixture.mixed(counts)
    assert np.bincount(sources, minlength=len(counts)).tolist() == counts
    assert furthest_off(sources, counts) < 1


@pytest.mark.parametrize("weights", [[0.7, 0.3], [5, 2.5, 0.001], [0.61, 0.2, 0.13, 0.055, 0.005]])
def test_every_prefix_of_a_million_rows_is_within_a_row(weights):
    counts = apportion(weights, 1_000_000)
    assert furthest_off(mixture.mixed(counts), counts) < 1
    assert all(abs(n - w * 1e6 / sum(weights)) < 1 for n, w in zip(counts, weights, strict=True))


def test_with_four_sources_sorting_alone_would_not_do():
    counts = apportion([0.7001, 0.1333, 0.1096, 0.057], 10_000)
    assert furthest_off(mixture.sorted_by_keys(counts), counts) > 1
    assert furthest_off(mixture.mixed(counts), counts) < 1


@settings(max_examples=60, deadline=None)
@given(COUNTS.filter(lambda counts: sum(counts) < 900))
def test_orders_are_those_of_the_slow_twins(counts):
    assert mixture.sorted_by_keys(counts).tolist() == twin.by_keys(counts)
    assert mixture.by_deadlines(counts).tolist() == twin.by_deadlines(counts)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.data())
def test_a_position_is_found_without_those_before_it(counts, data):
    """As the slow twin counts it, epoch after epoch, however different the sources' own epochs are."""
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=len(counts), max_size=len(counts)))
    made = Mixture(counts)
    expected = list(itertools.islice(twin.places(mixture.mixed(counts).tolist(), sizes), 3 * sum(counts)))
    for epoch in range(3):
        chosen = np.array(data.draw(st.lists(st.integers(0, sum(counts) - 1), min_size=1, max_size=20)))
        sources, numbers = made.at(epoch, chosen)
        found = [(int(s), int(n) % sizes[s], int(n) // sizes[s]) for s, n in zip(sources, numbers, strict=True)]
        assert found == [expected[epoch * sum(counts) + position] for position in chosen]


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9), st.integers(0, 10_000))
def test_rows_are_shared_out_by_largest_remainder(weights, rows):
    counts = apportion(weights, rows)
    assert counts == twin.largest_remainder(weights, rows)
    assert sum(counts) == rows


def test_equal_remainders_go_to_the_first_sources():
    assert apportion([1, 1, 1], 8) == [3, 3, 2]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("mixture")
    return {
        name: make_shards(home / name, rows={"train": rows}, parts=3, group_rows=4, window_groups=3, seed=seed)
        for seed, (name, rows) in enumerate(SIZES.items())
    }


@pytest.fixture(scope="module")
def owners(folders):
    """The source of each row, by its ids."""
    whole = [next(iter(ShardRows(folder, batch_size=SIZES[name]))) for name, folder in folders.items()]
    found = {tuple(ids): source for source, rows in enumerate(whole) for ids in rows["input_ids"].tolist()}
    assert len(found) == sum(SIZES.values())
    return found


def read(dataset, steps):
    """(source, row) of each row of some batches: rows differ between sources, and have their number."""
    return [
        [(int(ids[2:].sum()), number) for ids, number in zip(batch["input_ids"], row_numbers(batch), strict=True)]
        for batch in itertools.islice(dataset, steps)
    ]


def together(ranks):
    """The rows of each global batch: row k is rank k % n's next."""
    size = len(ranks)
    return [[parts[k % size][k // size] for k in range(sum(map(len, parts)))] for parts in zip(*ranks, strict=True)]


@settings(max_examples=6, deadline=None)
@given(
    weights=st.lists(st.floats(0.5, 10), min_size=1, max_size=8),
    batch_size=st.integers(8, 60) | st.integers(200, 700),  # larger than an epoch, too
    stopped=st.integers(0, 6),
    before=st.integers(1, 5),
    after=st.integers(1, 5),
    prefetch=st.integers(0, 2),
)
@example([0.5, 0.2, 0.15, 0.1, 0.05], 4, 15, 3, 2, 1)
@example([1.0, 1.0], 150, 3, 2, 5, 0)
def test_stopping_and_going_on_with_other_ranks_changes_no_batch(
    folders, weights, batch_size, stopped, before, after, prefetch
):
    before, after = min(before, batch_size), min(after, batch_size)
    chosen = dict(zip(folders.values(), weights, strict=False))
    how = {"batch_size": batch_size, "prefetch": prefetch}
    expected = read(ShardRows(chosen, batch_size=batch_size, prefetch=0), stopped + 4)
    first = [ShardDataset(chosen, rank=r, world_size=before, **how) for r in range(before)]
    found = together([read(dataset, stopped) for dataset in first])
    states = [dataset.state_dict() for dataset in first]
    assert all(state == states[0] for state in states)
    second = [ShardDataset(chosen, rank=r, world_size=after, **how) for r in range(after)]
    for dataset in second:
        dataset.load_state_dict(json.loads(json.dumps(states[0])))
    assert found + together([read(dataset, 4) for dataset in second]) == expected


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=8),
    batch_size=st.integers(1, 60) | st.integers(200, 700),
    data=st.data(),
)
def test_of_what_is_read_every_prefix_has_the_shares_that_are_told(folders, owners, weights, batch_size, data):
    """As rows are read, not as they are planned: within a row in an epoch, and rows_read says how many of each."""
    chosen = dict(zip(folders.values(), weights, strict=False))
    exact = apportion(weights, sum(list(SIZES.values())[: len(weights)]))
    assume(0 not in exact)  # which is refused
    rows = ShardRows(chosen, batch_size=batch_size)
    steps = data.draw(st.integers(1, 2 * rows.steps_per_epoch + 1), label="steps")
    assert all(abs(n - rows.rows * w / sum(weights)) < 1 for n, w in zip(exact, weights, strict=True))
    found = Counter()
    for step, batch in enumerate(itertools.islice(rows, steps)):
        assert rows.rows_read(step) == [found[source] for source in range(len(weights))]
        sources = np.array([owners[tuple(ids)] for ids in batch["input_ids"].tolist()])
        if step == 0:
            assert furthest_off(sources, exact, rows.rows) < 1
        found.update(sources.tolist())
    assert rows.rows_read(steps) == [found[source] for source in range(len(weights))]


def test_a_batch_larger_than_an_epoch_repeats_its_rows_in_order(folders):
    weights = {folders["b"]: 0.5, folders["d"]: 0.5}  # 29 rows, of which d has 14 in an epoch, and 9 of its own
    [whole] = read(ShardRows(weights, batch_size=29), 1)
    [batch] = read(ShardRows(weights, batch_size=70), 1)
    assert batch == (3 * whole)[:70]


def test_each_source_goes_through_its_own_epochs(folders):
    """b is exhausted several times while a isn't once; each comes in the order that it has alone."""
    chosen = {folders["a"]: 0.5, folders["b"]: 0.5}
    mixed = [row for batch in read(ShardRows(chosen, batch_size=1), 200) for row in batch]
    own = {name: [row[0] for row in read(ShardRows(folders[name], batch_size=1), 110)] for name in "ab"}
    sources = mixture.mixed([62, 61]).tolist()
    order = [sources[position % 123] for position in range(200)]
    places = Counter()
    for source, row in zip(order, mixed, strict=True):
        assert row == own["ab"[source]][places[source]]
        places[source] += 1
    assert [places[0] / SIZES["a"], places[1] / SIZES["b"]] == [101 / 103, 99 / 20]
