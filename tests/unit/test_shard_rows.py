"""corpora.rows.ShardRows: the batches of ShardDataset, as numpy arrays and without torch."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corpora.errors import BadArgument, StaleOutput
from corpora.rows import ShardRows, read_shards
from corpora.tokens.denoisers import SpanCorruptionSettings
from tamiz.trainer import ShardDataset
from tests.make_shards import make_shards

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards") / "s", rows={"train": 103, "validation": 7})


@pytest.mark.parametrize("options", [{}, {"seed": 3, "prefetch": 0}, {"rank": 1, "world_size": 3}])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_batches_and_states_are_those_of_the_torch_dataset(shards, split, options):
    ours = ShardRows(shards, split, batch_size=8, **options)
    torch_s = ShardDataset(shards, split, batch_size=8, **options)
    assert (ours.rows, ours.steps_per_epoch, ours.facts) == (torch_s.rows, torch_s.steps_per_epoch, torch_s.facts)
    for batch, tensors in itertools.islice(zip(ours, torch_s, strict=True), 40):
        assert list(batch) == list(tensors) == ["input_ids", "labels"]
        for name, array in batch.items():
            assert array.dtype == np.int64
            assert np.array_equal(array, tensors[name].numpy())
        assert ours.state_dict() == torch_s.state_dict()


def test_a_state_of_either_continues_the_other(shards):
    ours, torch_s = ShardRows(shards, batch_size=8), ShardDataset(shards, batch_size=8)
    expected = [batch["input_ids"] for batch in itertools.islice(ours, 5)][3:]
    list(itertools.islice(torch_s, 3))
    ours.load_state_dict(torch_s.state_dict())
    for wanted, batch in zip(expected, ours, strict=False):
        assert np.array_equal(wanted, batch["input_ids"])
    with pytest.raises(StaleOutput, match=r"saved for different data \(seed: 0 -> 7\): use the original settings"):
        ShardRows(shards, batch_size=8, seed=7).load_state_dict(torch_s.state_dict())


def test_fresh_noise_is_the_same(tmp_path):
    noise = SpanCorruptionSettings(noise_density=0.2, mean_noise_span_length=2.0)
    causal = make_shards(tmp_path / "s", objective="causal", widths=(20, 6))
    batch = ShardRows(causal, batch_size=5, span_corruption=noise).batch(1, 2)
    tensors = ShardDataset(causal, batch_size=5, span_corruption=noise).batch(1, 2)
    assert {name: array.tolist() for name, array in batch.items()} == {n: t.tolist() for n, t in tensors.items()}


def test_batches_may_be_kept(shards):
    rows = ShardRows(shards, batch_size=8)
    kept = list(itertools.islice(rows, 30))
    for number, batch in enumerate(kept):
        whole, step = divmod(number, rows.steps_per_epoch)
        assert np.array_equal(batch["input_ids"], rows.batch(whole, step)["input_ids"])


def test_no_torch_is_imported(shards):
    code = (
        "import sys, itertools\nfrom corpora.rows import ShardRows\n"
        "print(sum(len(b['input_ids']) for b in itertools.islice(ShardRows(sys.argv[1], batch_size=4), 30)))\n"
        "print([m for m in ('torch', 'apache_beam', 'transformers') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code, shards], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["120", "[]"]


def test_a_folder_is_opened_once_for_all_its_splits(tmp_path):
    """What has been read isn't read again: the second dataset of a split needs neither manifest nor footers."""
    folder = make_shards(tmp_path / "s", rows={"train": 23, "validation": 7})
    opened = read_shards(folder)
    first = ShardRows(opened, "validation", batch_size=3).batch(0, 0)
    (folder / "manifest.json").unlink()
    assert ShardRows(opened, "train", batch_size=3).rows == 23
    assert opened.split("validation") is opened.split("validation")
    for dataset in (ShardRows(opened, "validation", batch_size=3), ShardDataset(opened, "validation", batch_size=3)):
        assert np.array_equal(np.asarray(dataset.batch(0, 0)["input_ids"]), first["input_ids"])
    with pytest.raises(BadArgument, match=r"split 'test'; it has train \(23 rows\), validation \(7 rows\)"):
        opened.split("test")


@pytest.mark.parametrize("reader", [ShardRows, ShardDataset])
def test_it_shows_what_it_reads_and_how_long_an_epoch_is(tmp_path, reader):
    made = make_shards(tmp_path / "s", rows={"train": 103})
    dataset = reader(made, batch_size=10, seed=3, rank=1, world_size=2)
    assert len(dataset) == dataset.steps_per_epoch == 10
    told = f"{str(made)!r}, 'train', batch_size=10, seed=3, rank=1, world_size=2"
    assert repr(dataset) == f"{reader.__name__}({told}): 103 rows, 10 steps per epoch"
