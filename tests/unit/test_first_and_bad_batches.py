"""What a training says of its first batch, and what it does with batches whose loss isn't finite."""

from __future__ import annotations

import json
import logging
import math
import re

import msgspec
import numpy as np
import pytest
import torch

from corpora import files
from corpora.errors import TamizError
from corpora.rows.dataset import ShardRows
from corpora.rows.origin import stored_places
from corpora.rows.shards import read_shards
from tamiz.trainer import checkpoint
from tamiz.trainer.bad_batches import BadBatches, TooManyBad, began_at
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.first_batch import check_first_loss, eos_line
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer, row_numbers

pytestmark = pytest.mark.usefixtures("quick_plots")

SETTINGS = TrainSettings(num_threads=1, steps=6, batch_size=5, warmup_steps=2, validate_every=0, checkpoint_every=2)


class Trap(Llama, frozen=True, kw_only=True, tag="trap"):
    """A Llama whose loss isn't a number for rows that have a certain id in third place."""

    bad_id: int = 7

    def loss(self, model, prepared, z_loss=0.0):
        loss = super().loss(model, prepared, z_loss)
        return loss * math.nan if (prepared["input_ids"][:, 2] == self.bad_id).any() else loss


MODEL = Trap(vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2, bad_id=-1)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("shards") / "s"
    return make_shards(folder, tokenizer=tokenizer, objective="causal", rows={"train": 31})


def thirds(shards, steps):
    """The third ids of the rows of each step."""
    rows = ShardRows(shards, batch_size=5)
    return [set(rows.batch(0, step)["input_ids"][:, 2].tolist()) for step in range(steps)]


def bad_id(shards, step):
    """An id that only the rows of one step have there."""
    each = thirds(shards, 6)
    return next(i for i in each[step - 1] if sum(i in other for other in each) == 1)


def go(shards, tokenizer, out, model, **settings):
    lines = []
    chosen = msgspec.structs.replace(SETTINGS, **settings)
    return train(shards, tokenizer, out, model, chosen, report=lines.append), lines


def test_the_rows_of_every_position_are_named(shards):
    opened, found = read_shards(shards), {}
    for epoch in range(2):
        found[epoch] = stored_places(opened, "train", 0, epoch, range(31))
        assert len(set(found[epoch])) == 31
    assert found[0] != found[1]
    rows = ShardRows(shards, batch_size=5)
    first = {"train/part-00000.parquet": 0, "train/part-00001.parquet": 16}
    numbers = [first[name] + row for name, row in found[1][5:10]]
    assert row_numbers(rows.batch(1, 1)) == numbers


def test_a_bad_batch_is_skipped_named_and_leaves_the_weights_alone(shards, tokenizer, tmp_path, caplog):
    trap = msgspec.structs.replace(MODEL, bad_id=bad_id(shards, 4))
    with caplog.at_level(logging.WARNING):
        metrics, _ = go(shards, tokenizer, tmp_path / "m", trap)
    assert metrics["skipped_steps"] == [4]
    assert [p["step"] for p in metrics["history"] if "loss" in p] == [1, 2, 3, 5, 6]
    assert any("step 4 is skipped: the loss is nan" in r.message for r in caplog.records)
    kept = json.loads((tmp_path / "m/checkpoints/bad-batch-00000004.json").read_bytes())
    rows = ShardRows(shards, batch_size=5).batch(0, 3)
    assert np.array_equal(kept["input_ids"], rows["input_ids"])
    first = {"train/part-00000.parquet": 0, "train/part-00001.parquet": 16}
    assert [first[name] + row for name, row in kept["rows"]] == row_numbers(rows)
    assert kept["step"] == 4
    whole = files.sha256(tmp_path / "m/model.safetensors")
    # a run that stops in between, right after the skipped step, ends with the same bytes
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path / "n", trap, SETTINGS, report=lambda _: None, done=stop_at(4))
    again, _ = go(shards, tokenizer, tmp_path / "n", trap)
    assert again["skipped_steps"] == [4]
    assert files.sha256(tmp_path / "n/model.safetensors") == whole


class Interrupted(Exception):
    pass


def stop_at(last):
    def done(step, _steps):
        if step > last:
            raise Interrupted

    return done


class AllBad(Llama, frozen=True, kw_only=True, tag="all-bad"):
    """A Llama whose loss is infinite."""

    def loss(self, model, prepared, z_loss=0.0):
        return super().loss(model, prepared, z_loss) * math.inf


def test_too_many_bad_batches_in_a_row_end_the_training_with_the_weights_kept(shards, tokenizer, tmp_path):
    model = AllBad(**{name: getattr(MODEL, name) for name in Llama.__struct_fields__})
    with pytest.raises(TooManyBad) as error:
        go(shards, tokenizer, tmp_path, model, max_skipped_steps=1)
    said = str(error.value)
    assert said.startswith("2 steps in a row had no update (train.max_skipped_steps: 1), the last as the loss is inf")
    assert "lower train.learning_rate" in said
    assert error.value.exit_code == 1
    assert isinstance(error.value, TamizError)
    assert [checkpoint.number(path) for path in checkpoint.found(tmp_path)] == [2]
    state = torch.load(checkpoint.found(tmp_path)[-1], weights_only=True)
    fresh = model.build(seed=0, pad_id=0, eos_id=1).state_dict()
    assert all(torch.equal(state["model"][name], value) for name, value in fresh.items())
    assert state["bad_batches"]["steps"] == [1, 2]
    with pytest.raises(TooManyBad, match="2 steps in a row"):  # it goes on after them, and counts anew
        go(shards, tokenizer, tmp_path, model, max_skipped_steps=1)
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("bad-*")) == [
        f"bad-batch-0000000{step}.json" for step in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(("in_a_row", "ends"), [(1, False), (2, True), (3, False)])
def test_bad_steps_in_a_row_are_counted_across_an_interruption(tmp_path, in_a_row, ends):
    """Of at most two: 3 have ended the training before, which counts anew."""
    bad = BadBatches(tmp_path, None, 0, most=2, writes=False)
    bad.load_state_dict({"steps": [1, 2, 3], "in_a_row": in_a_row})
    batch = {"input_ids": torch.ones(2, 3, dtype=torch.int64)}
    said = bad.skip(4, batch, {"epoch": 0, "row": 6}, ValueError("nan"))
    assert (said is not None) is ends
    assert bad.steps == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == []


def test_where_a_batch_began():
    assert began_at({"epoch": 2, "row": 10}, 5, 6) == {"epoch": 2, "row": 5}
    assert began_at({"epoch": 2, "row": 0}, 5, 6) == {"epoch": 1, "row": 25}


def test_the_first_loss_and_eos_are_said_once(shards, tokenizer, tmp_path):
    metrics, lines = go(shards, tokenizer, tmp_path, MODEL)
    first = next(p["loss"] for p in metrics["history"] if p["step"] == 1)
    assert abs(first - math.log(VOCAB_SIZE)) < 0.2
    said = [line for line in lines if line.startswith(("the first", "first"))]
    assert said == [
        "the first batch has 75 targets, 5 of them EOS",
        f"the first loss is {first:.3f} nats; ln 64, that of a model that knows nothing, is 4.159",
    ]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("vocab_size", [384, 5000])
def test_every_familys_first_loss_passes(vocab_size, tied):
    """Also where tied weights give the most: many dimensions, few ids."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, vocab_size, (2, 24), generator=generator)
    shapes = [
        T5(vocab_size=vocab_size, d_model=256, num_layers=1, num_decoder_layers=2, tie_embeddings=tied),
        Llama(
            vocab_size=vocab_size,
            hidden_size=256,
            num_layers=2,
            num_heads=4,
            tie_embeddings=tied,
            document_masks=False,
        ),
    ]
    for family in shapes:
        prepared = family.prepare({"input_ids": ids, "labels": ids[:, :12]}, 0)
        with torch.no_grad():
            loss = family.loss(family.build(seed=0), prepared).item() / int((prepared["targets"] >= 0).sum())
        assert "that of a model that knows nothing" in check_first_loss(loss, vocab_size)


def test_an_output_layer_that_is_too_large_is_refused_before_weights_are_lost_to_it(shards, tokenizer, tmp_path):
    class Wide(Llama, frozen=True, kw_only=True, tag="wide"):
        def new(self, *ids):
            model = super().new(*ids)
            model.lm_head.weight.data.mul_(2000)
            return model

    wide = Wide(**{name: getattr(MODEL, name) for name in Llama.__struct_fields__})
    with pytest.raises(TamizError, match=r"the first loss is \d.* ln 64.*the output layer are too large"):
        go(shards, tokenizer, tmp_path, wide)
    assert not checkpoint.found(tmp_path)


def test_a_first_loss_that_is_too_low_is_only_warned_of(caplog):
    check_first_loss(0.5, 5000)
    assert "do the targets repeat themselves" in caplog.text


@pytest.mark.parametrize(
    ("eos_id", "said"), [(1, "1 of them EOS"), (2, "none is EOS \\(id 2\\)"), (None, "the tokenizer has no EOS")]
)
def test_eos_is_counted_among_targets(eos_id, said, caplog):
    targets = torch.tensor([[5, 1, -100], [6, 7, -100]])
    line = eos_line(targets, eos_id)
    assert line.startswith("the first batch has 4 targets, ")
    assert bool(caplog.records) == (eos_id != 1)

    assert re.search(said, line + caplog.text)
