"""ShardDataset: the order of rows, ranks, resuming, and what it refuses."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.rows.shards import read_shards
from tamiz.trainer import ShardDataset
from tests.make_shards import make_shards, row_numbers
from tests.reference.epoch_order import rows_in_order


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


@pytest.mark.parametrize("window_groups", [1, 3, 8, 30])
def test_small_windows_still_take_each_row_once(tmp_path, window_groups):
    made = make_shards(tmp_path / "s", rows={"train": 103}, window_groups=window_groups)
    whole = numbers(ShardDataset(made, batch_size=7), 29)
    assert len(set(itertools.chain(*whole[:14]))) == 98
    halves = [numbers(ShardDataset(made, batch_size=7, rank=r, world_size=2), 29) for r in range(2)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]


def test_the_order_of_rows_equals_its_twin(tmp_path):
    made = make_shards(tmp_path / "s", rows={"train": 103}, parts=3, group_rows=4, window_groups=5)
    counts = [len(part) for part in np.array_split(np.arange(103), 3)]
    groups = [(file, first, min(4, n - first)) for file, n in enumerate(counts) for first in range(0, n, 4)]
    starts = np.cumsum([0, *counts])
    for epoch in range(2):
        places = rows_in_order([f for f, _, _ in groups], [n for _, _, n in groups], 3, epoch, 5)
        expected = [int(starts[groups[g][0]]) + groups[g][1] + row for g, row in places]
        dataset = ShardDataset(made, batch_size=1, seed=3)
        dataset.load_state_dict({**dataset.state_dict(), "epoch": epoch})
        assert list(itertools.chain(*numbers(dataset, 103))) == expected


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
    for prefetch in (0, 1, 5):
        dataset = ShardDataset(shards, batch_size=10, prefetch=prefetch)
        places = []
        for _ in zip(range(13), dataset, strict=False):
            places.append((dataset.state_dict()["epoch"], dataset.state_dict()["row"]))
        assert places == [*((0, 10 * n) for n in range(1, 10)), (1, 0), (1, 10), (1, 20), (1, 30)]


def test_the_state_is_small_and_plain(shards):
    state = ShardDataset(shards, batch_size=4).state_dict()
    assert list(state) == ["epoch", "row", "fingerprint"]
    assert json.loads(json.dumps(state)) == state
    assert len(json.dumps(state)) < 400


def test_a_state_of_other_shards_or_another_order_is_refused(shards, tmp_path):
    state = ShardDataset(shards, batch_size=4).state_dict()
    other = make_shards(tmp_path / "other", rows={"train": 103, "validation": 7}, seed=1, tokenizer_sha256="1" * 64)
    with pytest.raises(StaleOutput, match=r"shards: '\w+' -> '\w+'; tokenizer: '0+' -> '1+'\)"):
        ShardDataset(other, batch_size=4).load_state_dict(state)
    with pytest.raises(StaleOutput, match=r"\(seed: 0 -> 7\)"):
        ShardDataset(shards, batch_size=4, seed=7).load_state_dict(state)
    with pytest.raises(StaleOutput, match=r"\(split: 'train' -> 'validation'\)"):
        ShardDataset(shards, "validation", batch_size=4).load_state_dict(state)
    older = {"epoch": 0, "step": 3, "fingerprint": "abc", "split": "train", "batch_size": 4, "seed": 0}
    with pytest.raises(StaleOutput, match="order: None -> 2"):
        ShardDataset(shards, batch_size=4).load_state_dict(older)
    with pytest.raises(BadArgument, match="row 103; an epoch has rows 0 to 102"):
        ShardDataset(shards, batch_size=4).load_state_dict(state | {"row": 103})


def test_a_state_loaded_while_iterating_is_where_the_next_batch_is_from(shards):
    dataset = ShardDataset(shards, batch_size=10)
    batches = iter(dataset)
    first, state = row_numbers(next(batches)), dataset.state_dict()
    second = row_numbers(next(batches))
    dataset.load_state_dict(state)
    assert row_numbers(next(batches)) == second != first
    assert row_numbers(next(iter(dataset))) == numbers(ShardDataset(shards, batch_size=10), 3)[2]


def test_batch_gives_any_step_and_leaves_the_state(shards):
    dataset = ShardDataset(shards, batch_size=10)
    assert row_numbers(dataset.batch(1, 2)) == numbers(ShardDataset(shards, batch_size=10), 13)[12]
    assert dataset.state_dict()["row"] == 0
    with pytest.raises(BadArgument, match="step is 10; an epoch has steps 0 to 9"):
        dataset.batch(0, 10)


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


def test_columns_of_one_value(tmp_path):
    made = make_shards(tmp_path / "s", objective="causal", scalars={"num_tokens": 9, "denoiser": 2, "other": 1})
    batch = next(iter(ShardDataset(made, batch_size=3)))
    assert {name: (t.tolist(), t.dtype) for name, t in batch.items() if name != "input_ids"} == {
        "num_tokens": ([9, 9, 9], torch.int64),
        "denoiser": ([2, 2, 2], torch.int64),
        "other": ([1, 1, 1], torch.int64),
    }


def test_batches_keep_their_rows_while_anything_holds_them(shards):
    """Memory of batches is used again, once nobody holds it."""
    kept, copies = [], []
    for number, batch in zip(range(60), ShardDataset(shards, batch_size=10), strict=False):
        ids = batch["input_ids"]
        held = [ids, ids[2:4], ids.numpy()[::2], ids.flatten()[5:]][number % 4]
        kept.append(held)
        copies.append(np.asarray(held).copy())
    assert all(np.array_equal(held, copy) for held, copy in zip(kept, copies, strict=True))


def test_a_data_loader_without_workers_is_fine_and_with_workers_refused(shards):
    dataset = ShardDataset(shards, batch_size=4)
    loaded = list(itertools.islice(DataLoader(dataset, batch_size=None), 3))
    assert dataset.state_dict()["row"] == 12
    assert [row_numbers(b) for b in loaded] == numbers(ShardDataset(shards, batch_size=4), 3)
    with pytest.raises(BadArgument, match="num_workers=0"):
        next(iter(DataLoader(dataset, batch_size=None, num_workers=1)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2, "world_size": 3}, "world_size is 3"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank is 2"),
        ({"batch_size": 4, "prefetch": -1}, "prefetch is -1"),
        ({"batch_size": 4, "split": "test"}, r"no rows in split 'test'.*train \(103 rows\)"),
    ],
)
def test_bad_arguments_are_named(shards, arguments, said):
    with pytest.raises(BadArgument, match=said):
        ShardDataset(shards, **arguments)


LEFT_OPEN = """
import sys
from tamiz.trainer import ShardDataset
batches = iter(ShardDataset(sys.argv[1], batch_size=8))
print(len(next(batches)["input_ids"]))
"""


def test_an_iterator_left_open_ends_quietly_with_the_interpreter(shards):
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN, str(shards)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")


def test_bad_shards_are_named(tmp_path):
    with pytest.raises(DamagedFile, match="no manifest"):
        read_shards(tmp_path)
    missing = make_shards(tmp_path / "facts", pad_id="zero")
    with pytest.raises(DamagedFile, match="pad_id"):
        read_shards(missing)
    short = make_shards(tmp_path / "short")
    part, other = short / "train/part-00000.parquet", short / "train/part-00001.parquet"
    make_shards(tmp_path / "shorter", rows={"train": 9, "validation": 7})
    content = part.read_bytes()
    (tmp_path / "shorter/train/part-00000.parquet").replace(part)
    with pytest.raises(DamagedFile, match=r"has 5 rows, but its manifest says 12"):
        ShardDataset(short, batch_size=2)
    part.write_bytes(b"PAR1 not")
    with pytest.raises(DamagedFile, match="not a Parquet file"):
        ShardDataset(short, batch_size=2)
    make_shards(tmp_path / "narrow", widths=(12, 6))
    part.write_bytes((tmp_path / "narrow/train/part-00000.parquet").read_bytes())
    with pytest.raises(DamagedFile, match=r"input_ids has .*\[12\], but its manifest says 16 ids"):
        ShardDataset(short, batch_size=2)
    part.write_bytes(content)
    other.write_bytes((tmp_path / "narrow/train/part-00001.parquet").read_bytes())
    with pytest.raises(DamagedFile, match=r"part-00001.parquet: rows can't be read"):
        next(iter(ShardDataset(short, batch_size=2)))


def test_a_file_cut_short_meanwhile_is_named(tmp_path):
    made = make_shards(tmp_path / "s", rows={"train": 400}, group_rows=10, window_groups=4)
    dataset = ShardDataset(made, batch_size=10)
    batches = iter(dataset)
    next(batches)
    for path in (made / "train").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedFile, match=r"part-0000[01].parquet: rows can't be read"):
        list(batches)
    assert 0 < dataset.state_dict()["row"] < 100  # where the batch that can't be made begins
    with pytest.raises(StopIteration):
        next(batches)


@pytest.mark.parametrize("dispatch", [True, False])
def test_rows_that_would_be_shared_out_twice_are_refused(shards, dispatch):
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    from accelerate.data_loader import DataLoaderDispatcher, IterableDatasetShard

    def prepared(dataset):
        if dispatch:
            accelerate.Accelerator(cpu=True)
            return DataLoaderDispatcher(dataset, batch_size=None)
        return IterableDatasetShard(dataset, batch_size=1, num_processes=2, process_index=0)

    with pytest.raises(BadArgument, match=r"leave it out of prepare\(\)"):
        next(iter(prepared(ShardDataset(shards, batch_size=4, rank=0, world_size=2))))
    assert next(iter(prepared(ShardDataset(shards, batch_size=4))))["input_ids"].shape == (4, 16)
