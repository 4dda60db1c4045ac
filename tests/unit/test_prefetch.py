"""What is made ahead changes nothing: order, errors, an end at any time."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from corpora.errors import BadArgument, TamizError
from corpora.rows.prefetch import Prefetcher
from tamiz.trainer import ShardDataset
from tests.make_shards import make_shards, row_numbers

ROOT = Path(__file__).resolve().parents[2]


def following(make, depth):
    return Prefetcher(make, lambda key: key + 1, depth, lambda: None)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_keys_are_made_in_order_once_and_at_most_depth_ahead(depth):
    made = []
    with following(lambda key: made.append(key) or -key, depth) as ahead:
        for key in range(20):
            assert ahead.get(key) == -key
            assert len(made) <= key + 1 + depth
    assert made == list(range(len(made)))


def test_an_unexpected_key_starts_anew():
    with following(lambda key: key, 3) as ahead:
        assert [ahead.get(key) for key in (5, 6, 2, 3, 100)] == [5, 6, 2, 3, 100]


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_is_raised_as_itself_where_it_belongs(depth):
    error = KeyError("seven")

    def make(key):
        if key == 7:
            raise error
        return key

    with following(make, depth) as ahead:
        assert [ahead.get(key) for key in range(7)] == list(range(7))
        with pytest.raises(KeyError) as raised:
            ahead.get(7)
        assert raised.value is error
        assert ahead.get(8) == 8


def test_work_is_done_while_the_caller_does_its_own():
    begun = threading.Event()
    with following(lambda key: begun.set() if key == 1 else None, 1) as ahead:
        ahead.get(0)
        assert begun.wait(10)


def test_depth_changes_neither_batches_nor_states(tmp_path):
    made = make_shards(tmp_path / "s", rows={"train": 103}, window_groups=4)
    found = []
    for depth in (0, 1, 3, 40):
        dataset = ShardDataset(made, batch_size=9, prefetch=depth)
        batches = itertools.islice(dataset, 40)
        found.append([(row_numbers(batch), dataset.state_dict()) for batch in batches])
    assert all(one == found[0] for one in found)


def test_closing_an_iterator_ends_its_threads(tmp_path):
    dataset, others = ShardDataset(make_shards(tmp_path / "s"), batch_size=3), set(threading.enumerate())

    def threads():
        """Those begun since; other tests may have left some that end with an object of theirs."""
        return set(threading.enumerate()) - others

    batches = iter(dataset)
    next(batches)
    assert len(threads()) == 2
    batches.close()
    assert not threads()
    for _ in zip(range(3), dataset, strict=False):
        pass
    deadline = time.monotonic() + 10
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads()  # the loop's iterator is gone


LEFT = """
import sys, threading
from tamiz.trainer import ShardDataset
batches = iter(ShardDataset(sys.argv[1], batch_size=3))
next(batches)
if sys.argv[2] == "raise":
    raise KeyError("left")
"""


@pytest.mark.parametrize(("how", "code"), [("end", 0), ("raise", 1)])
def test_an_iterator_left_open_hinders_no_exit(tmp_path, how, code):
    made = make_shards(tmp_path / "s", rows={"train": 500}, window_groups=3)
    command = [sys.executable, "-c", LEFT, str(made), how]
    done = subprocess.run(command, cwd=ROOT, timeout=60, capture_output=True, check=False)
    assert done.returncode == code
    assert (b"KeyError: 'left'" in done.stderr) == (how == "raise")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_fork_must_iterate_anew(tmp_path):
    dataset = ShardDataset(make_shards(tmp_path / "s"), batch_size=3)
    batches = iter(dataset)
    next(batches)
    child = os.fork()
    if not child:
        code = 1
        try:
            next(batches)
        except TamizError as error:
            code = 0 if "new iteration" in str(error) and len(row_numbers(next(iter(dataset)))) == 3 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_pinned_memory_without_a_gpu_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    dataset = ShardDataset(make_shards(tmp_path / "s"), batch_size=3, pin_memory=True)
    with pytest.raises(BadArgument, match="torch finds no GPU"):
        next(iter(dataset))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_are_pinned_where_there_is_a_gpu(tmp_path, prefetch):
    made = make_shards(tmp_path / "s")
    pinned = list(itertools.islice(ShardDataset(made, batch_size=3, prefetch=prefetch), 20))
    plain = list(itertools.islice(ShardDataset(made, batch_size=3, pin_memory=False), 20))
    assert all(ids.is_pinned() for batch in pinned for ids in batch.values())
    assert not any(ids.is_pinned() for batch in plain for ids in batch.values())
    for one, other in zip(pinned, plain, strict=True):
        assert torch.equal(one["input_ids"].to("cuda", non_blocking=True).cpu(), other["input_ids"])
