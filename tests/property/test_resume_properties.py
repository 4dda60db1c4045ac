"""Ranks that stop anywhere go on, however many they are then, with the very rows of a run that didn't stop."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamiz.trainer import ShardDataset
from tests.make_shards import make_shards, row_numbers

ROOT = Path(__file__).resolve().parents[2]
ROWS = 103


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    rows = {"train": ROWS}
    return make_shards(tmp_path_factory.mktemp("resume") / "s", rows=rows, parts=5, group_rows=4, window_groups=6)


def ranks(shards, world_size, **how):
    return [ShardDataset(shards, rank=r, world_size=world_size, **how) for r in range(world_size)]


def read(datasets, steps):
    """Rows of each global batch, sorted: each rank takes `steps` batches."""
    taken = [[row_numbers(batch) for batch in itertools.islice(d, steps)] for d in datasets]
    return [sorted(itertools.chain(*batch)) for batch in zip(*taken, strict=True)]


@settings(max_examples=30, deadline=None)
@given(
    batch_size=st.integers(4, 120),
    stopped=st.integers(0, 60),
    before=st.integers(1, 4),
    after=st.integers(1, 4),
    seed=st.integers(0, 3),
    prefetch=st.integers(0, 3),
)
def test_stopping_and_going_on_with_other_ranks_changes_no_batch(
    shards, batch_size, stopped, before, after, seed, prefetch
):
    how = {"batch_size": batch_size, "seed": seed, "prefetch": prefetch}
    expected = read(ranks(shards, 1, batch_size=batch_size, seed=seed, prefetch=0), stopped + 20)
    first = ranks(shards, before, **how)
    found = read(first, stopped)
    states = [dataset.state_dict() for dataset in first]
    assert all(state == states[0] for state in states)
    second = ranks(shards, after, **how)
    for dataset in second:
        dataset.load_state_dict(json.loads(json.dumps(states[0])))
    assert found + read(second, 20) == expected


@settings(max_examples=30, deadline=None)
@given(before=st.integers(1, 120), stopped=st.integers(0, 120), after=st.integers(1, 120))
def test_another_batch_size_goes_on_at_the_same_row(shards, before, stopped, after):
    """No row of the epoch twice; left out is only what makes no whole batch."""
    order = [row_numbers(b)[0] for b in itertools.islice(ShardDataset(shards, batch_size=1, prefetch=0), ROWS)]
    dataset = ShardDataset(shards, batch_size=before, prefetch=0)
    for _ in itertools.islice(dataset, stopped):
        pass
    state = dataset.state_dict()
    resumed = ShardDataset(shards, batch_size=after, prefetch=0)
    resumed.load_state_dict(state)
    epoch, row = state["epoch"], state["row"]
    batches = iter(resumed)
    while row + after <= ROWS and epoch == 0:
        assert row_numbers(next(batches)) == order[row : row + after]
        row += after
    if epoch == 0:
        assert (resumed.state_dict()["epoch"], resumed.state_dict()["row"]) == (1 if row else 0, 0)


RANK = """
import json, os, sys, time
from pathlib import Path
from tamiz.trainer import ShardDataset
sys.path.insert(0, os.getcwd())
from tests.make_shards import row_numbers

shards, out, rank = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
dataset = ShardDataset(shards, batch_size=12, seed=5, rank=rank, world_size=2)
log = (out / f"rows-{rank}").open("w")
for step, batch in enumerate(dataset):
    print(json.dumps(row_numbers(batch)), file=log, flush=True)
    if step == 16 and rank == 0:  # a checkpoint after the 17th step
        (out / "half").write_text(json.dumps(dataset.state_dict()))
        (out / "half").rename(out / "state.json")
    time.sleep(0.02)
"""


def test_two_processes_killed_go_on_as_one_or_four_ranks(shards, tmp_path):
    command = [sys.executable, "-c", RANK, str(shards), str(tmp_path)]
    running = [subprocess.Popen([*command, str(rank)], cwd=ROOT) for rank in range(2)]
    logs, deadline = [tmp_path / f"rows-{rank}" for rank in range(2)], time.monotonic() + 120
    while not all(log.exists() and len(log.read_text().splitlines()) > 20 for log in logs):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in running)
        time.sleep(0.02)
    for process in running:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    state = json.loads((tmp_path / "state.json").read_text())
    halves = [[json.loads(line) for line in log.read_text().splitlines()[:17]] for log in logs]
    done = [sorted(one + other) for one, other in zip(*halves, strict=True)]
    expected = read(ranks(shards, 1, batch_size=12, seed=5), 40)
    for after in (1, 4):
        resumed = ranks(shards, after, batch_size=12, seed=5)
        for dataset in resumed:
            dataset.load_state_dict(state)
        assert done + read(resumed, 23) == expected
