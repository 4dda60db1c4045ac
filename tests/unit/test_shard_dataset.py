"""ShardDataset: the order of rows, ranks, resuming, and what it refuses."""

from __future__ import annotations

import itertools
import json
import logging

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from corpora.errors import BadArgument, DamagedFile, StaleOutput
from tests.make_shards import make_shards, row_numbers
from trainer import ShardDataset, order
from trainer.shards import read_facts


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("shards") / "s", rows={"train": 103, "validation": 7})


def take(dataset, count):
    return list(itertools.islice(dataset, count))


def numbers(dataset, count):
    return [row_numbers(batch) for batch in take(dataset, count)]


def test_batches_are_int64_and_hold_the_rows_as_stored(shards):
    batch = next(iter(ShardDataset(shards, batch_size=8)))
    assert {name: (t.shape, t.dtype) for name, t in batch.items()} == {
        "input_ids": ((8, 16), torch.int64),
        "labels": ((8, 6), torch.int64),
    }
    assert torch.equal(batch["labels"][:, :5], batch["input_ids"][:, :5])
    assert (batch["input_ids"][:, -1] == 1).all()


def test_an_epoch_takes_each_row_once_in_an_order_of_its_own(shards):
    dataset = ShardDataset(shards, batch_size=1)
    batches = [n for (n,) in numbers(dataset, 206)]
    first, second = batches[:103], batches[103:]
    assert sorted(first) == sorted(second) == list(range(103))
    assert first != second
    assert first != sorted(first)


def test_a_short_tail_is_left_out_and_changes_by_epoch(shards):
    dataset = ShardDataset(shards, batch_size=10)
    assert dataset.steps_per_epoch == 10
    epochs = [set(itertools.chain(*numbers(dataset, 10))) for _ in range(2)]
    assert [len(epoch) for epoch in epochs] == [100, 100]
    assert epochs[0] != epochs[1]


def test_the_order_depends_on_the_seed_only(shards):
    assert numbers(ShardDataset(shards, batch_size=4), 30) == numbers(ShardDataset(shards, batch_size=4), 30)
    assert numbers(ShardDataset(shards, batch_size=4), 3) != numbers(ShardDataset(shards, batch_size=4, seed=1), 3)
    by_two = list(itertools.chain(*numbers(ShardDataset(shards, batch_size=2), 10)))
    assert by_two == list(itertools.chain(*numbers(ShardDataset(shards, batch_size=4), 5)))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_out_the_same_global_batches(shards, world_size):
    whole = numbers(ShardDataset(shards, batch_size=6), 40)
    ranks = [
        numbers(ShardDataset(shards, batch_size=6, rank=r, world_size=world_size), 40) for r in range(world_size)
    ]
    for step, batch in enumerate(whole):
        for rank in range(world_size):
            assert ranks[rank][step] == batch[rank::world_size]


@pytest.mark.parametrize("window_rows", [1, 12, 40])
def test_small_windows_still_take_each_row_once(shards, monkeypatch, window_rows):
    plain = order.windows
    monkeypatch.setattr(order, "windows", lambda rows, seed, epoch: plain(rows, seed, epoch, window_rows))
    whole = numbers(ShardDataset(shards, batch_size=7), 29)
    assert len(set(itertools.chain(*whole[:14]))) == 98
    halves = [numbers(ShardDataset(shards, batch_size=7, rank=r, world_size=2), 29) for r in range(2)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]


def test_windows_hold_every_row_group_once_and_adjoin():
    windows = order.windows([10, 3, 7, 12, 1], seed=3, epoch=2, window_rows=11)
    assert sorted(itertools.chain(*(w.groups for w in windows))) == [0, 1, 2, 3, 4]
    starts = list(itertools.accumulate((w.rows for w in windows), initial=0))
    assert [w.start for w in windows] == starts[:-1]
    assert starts[-1] == 33


def test_the_permutation_is_pinned():
    """A change of it changes every training: it needs a new seed purpose, and a word in the changelog."""
    assert order.permutation(8, 0, "order-rows", 0, 0).tolist() == [4, 6, 5, 3, 7, 1, 0, 2]


@pytest.mark.parametrize("taken", [0, 1, 9, 10, 11, 25])
@pytest.mark.parametrize("world_size", [1, 2])
def test_resuming_is_exact_on_any_number_of_ranks(shards, taken, world_size):
    dataset = ShardDataset(shards, batch_size=10)
    take(dataset, taken)
    state = json.loads(json.dumps(dataset.state_dict()))
    expected = numbers(dataset, 15)
    for rank in range(world_size):
        resumed = ShardDataset(shards, batch_size=10, rank=rank, world_size=world_size)
        resumed.load_state_dict(state)
        assert numbers(resumed, 15) == [batch[rank::world_size] for batch in expected]


def test_the_state_counts_batches_handed_out(shards):
    dataset = ShardDataset(shards, batch_size=10)
    batches = iter(dataset)
    assert (dataset.state_dict()["epoch"], dataset.state_dict()["step"]) == (0, 0)
    for _ in range(12):
        next(batches)
    assert (dataset.state_dict()["epoch"], dataset.state_dict()["step"]) == (1, 2)


def test_a_state_of_other_shards_or_another_order_is_refused(shards, tmp_path):
    state = ShardDataset(shards, batch_size=4).state_dict()
    other = make_shards(tmp_path / "other", rows={"train": 103, "validation": 7}, seed=1)
    with pytest.raises(StaleOutput, match="fingerprint"):
        ShardDataset(other, batch_size=4).load_state_dict(state)
    with pytest.raises(StaleOutput, match=r"batch_size: 4 -> 5"):
        ShardDataset(shards, batch_size=5).load_state_dict(state)
    with pytest.raises(StaleOutput, match=r"seed: 0 -> 7"):
        ShardDataset(shards, batch_size=4, seed=7).load_state_dict(state)


def test_a_split_smaller_than_a_batch_goes_round(shards, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = ShardDataset(shards, "validation", batch_size=10)
    assert "7 rows, fewer than batch_size 10" in caplog.text
    batch, _ = numbers(dataset, 2)
    assert sorted(batch[:7]) == list(range(7))
    assert batch[7:] == batch[:3]


def test_uint32_rows(tmp_path):
    made = make_shards(tmp_path / "s", dtype=np.uint32, vocab_size=70_000)
    assert next(iter(ShardDataset(made, batch_size=23)))["input_ids"].max() > 65_535


def test_causal_rows_have_no_labels(tmp_path):
    made = make_shards(tmp_path / "s", objective="causal")
    batch = next(iter(ShardDataset(made, batch_size=3)))
    assert {name: t.shape for name, t in batch.items()} == {"input_ids": (3, 16)}


def test_a_data_loader_without_workers_is_fine_and_with_workers_refused(shards):
    dataset = ShardDataset(shards, batch_size=4)
    loaded = list(itertools.islice(DataLoader(dataset, batch_size=None), 3))
    assert dataset.state_dict()["step"] == 3
    assert [row_numbers(b) for b in loaded] == numbers(ShardDataset(shards, batch_size=4), 3)
    with pytest.raises(BadArgument, match="num_workers=0"):
        next(iter(DataLoader(dataset, batch_size=None, num_workers=1)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2, "world_size": 3}, "world_size is 3"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank is 2"),
        ({"batch_size": 4, "split": "test"}, r"no rows in split 'test'.*train \(103 rows\)"),
    ],
)
def test_bad_arguments_are_named(shards, arguments, said):
    with pytest.raises(BadArgument, match=said):
        ShardDataset(shards, **arguments)


def test_bad_shards_are_named(tmp_path):
    with pytest.raises(DamagedFile, match="no manifest"):
        read_facts(tmp_path)
    missing = make_shards(tmp_path / "facts", pad_id="zero")
    with pytest.raises(DamagedFile, match="pad_id"):
        read_facts(missing)
    short = make_shards(tmp_path / "short")
    make_shards(tmp_path / "shorter", rows={"train": 9, "validation": 7})
    (tmp_path / "shorter/train/part-00000.parquet").replace(short / "train/part-00000.parquet")
    with pytest.raises(DamagedFile, match=r"has 5 rows, its manifest says 12"):
        ShardDataset(short, batch_size=2)
    (short / "train/part-00000.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(DamagedFile, match="not a Parquet file"):
        ShardDataset(short, batch_size=2)
