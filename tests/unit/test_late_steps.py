"""Steps whose outcomes are read a step late, as on a GPU: the same weights, losses, messages and named rows.

The CPU stands in for the GPU: its fused AdamW skips an update by the same flag, and so do our optimizers.
"""

from __future__ import annotations

import json
import math
from functools import partial

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from corpora import files
from tamiz.trainer import checkpoint, compiling
from tamiz.trainer import steps as steps_module
from tamiz.trainer.awaited import Awaited, Taken
from tamiz.trainer.bad_batches import TooManyBad
from tamiz.trainer.families import chunked_loss
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.outcome import NotFinite, Outcome
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("quick_plots")
SETTINGS = TrainSettings(
    num_threads=1, steps=9, batch_size=5, micro_batch_size=2, warmup_steps=2, validate_every=4, checkpoint_every=3,
    max_skipped_steps=1,
)  # fmt: skip
SHAPE = {
    "document_masks": False,
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_layers": 1,
    "num_heads": 2,
}


class LateTrap(Llama, frozen=True, kw_only=True, tag="late-trap"):
    """A Llama whose loss isn't a number in batches with a row that begins with certain ids."""

    bad: tuple[tuple[int, ...], ...] = ()

    def loss(self, model, prepared, z_loss=0.0):
        loss = super().loss(model, prepared, z_loss)
        rows = {tuple(row[:6]) for row in prepared["input_ids"].tolist()}
        return loss * math.nan if rows & set(self.bad) else loss


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory, tokenizer):
    return make_shards(
        tmp_path_factory.mktemp("shards") / "s",
        tokenizer=tokenizer,
        objective="causal",
        rows={"train": 61, "validation": 9},
    )


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(Steps, "_can_be_late", lambda _self: True)


def steps(*, late, family=None, **settings):
    family = family or Llama(**SHAPE)
    chosen = msgspec.structs.replace(SETTINGS, **settings)
    return Steps(
        family.build(seed=0), family, chosen, torch.device("cpu"), micro_rows=2, bfloat16=False, pad_id=0, late=late
    )


def batch(seed=0):
    return {"input_ids": torch.randint(3, VOCAB_SIZE, (4, 17), generator=torch.Generator().manual_seed(seed))}


def state(one):
    """Weights and means; counts of steps, which differ in their kind, as float64."""

    def counted(value):
        return value if torch.is_tensor(value) and value.ndim else torch.tensor(float(value)).double()

    return {
        **one.model.state_dict(),
        **{
            f"{number} {name}": counted(value)
            for number, values in one.optimizer.state_dict()["state"].items()
            for name, value in values.items()
        },
    }


def copied(found):
    return {name: value.clone() for name, value in found.items()}


@pytest.mark.parametrize("first_is_bad", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_the_device_decides_as_the_host_does(optimizer, first_is_bad):
    """Also after a batch that isn't finite, whose numbers the device alone has seen. The device computes Adafactor's
    shares and AdamWScale's corrections from a count in float64: the last bits may differ."""
    bad = [batch(3), *([batch(0)] if first_is_bad else [])]
    trap = LateTrap(**SHAPE, bad=tuple(tuple(one["input_ids"][3, :6].tolist()) for one in bad))
    more = {"optimizer": optimizer, "weight_decay": 0.1}
    one, other = steps(late=True, family=trap, **more), steps(late=False, family=trap, **more)
    for each in (one, other):
        each.optimizer._factor_from = 8  # of Adafactor: some of the matrices
    outcomes, losses, sizes = [], [], []
    bound = 0.0 if optimizer == "adamw" else 1e-6
    for seed in range(6):
        outcomes.append(one.start(batch(seed), 0.01))
        try:
            losses.append(other.train(batch(seed), 0.01))
        except NotFinite as error:
            losses.append(str(error))
        sizes.append(other.step_size())
        found, wanted = state(one), state(other)
        # nobody waits to see whether there are means yet
        assert found.keys() == wanted.keys() or (first_is_bad and seed == 0)
        for name in wanted:
            torch.testing.assert_close(found[name], wanted[name], rtol=bound, atol=bound, msg=name)
    told, told_sizes = [], []
    for outcome in outcomes:
        try:
            told.append(one.read(outcome))
        except NotFinite as error:
            told.append(str(error))
        told_sizes.append(one.step_size())
    assert told == [pytest.approx(loss, rel=1e-5) if isinstance(loss, float) else loss for loss in losses]
    assert (isinstance(told[0], str), isinstance(told[3], str)) == (first_is_bad, True)
    assert one.norm == pytest.approx(other.norm, rel=1e-4)
    assert (told_sizes[-1] is None) == (optimizer == "adamw")
    assert told_sizes == [size and pytest.approx(size, rel=1e-6) for size in sizes]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_nothing_of_a_bad_step_stays(optimizer):
    bad = batch(0)
    trap = LateTrap(**SHAPE, bad=(tuple(bad["input_ids"][0, :6].tolist()),))
    one = steps(late=True, family=trap, optimizer=optimizer, weight_decay=0.1)
    one.optimizer._factor_from = 8
    one.start(batch(1), 0.01)
    before = copied(state(one))
    outcome = one.start(bad, 0.01)
    assert all(torch.equal(value, before[name]) for name, value in state(one).items())
    with pytest.raises(
        NotFinite, match=r"the loss is nan and the norm of the gradient is nan at learning rate 0\.01"
    ):
        one.read(outcome)


@pytest.mark.parametrize("losses", [[1.0, 2.5], [math.inf, 1.0], [math.nan, 1.0], [-math.inf, math.inf]])
@pytest.mark.parametrize("norm", [0.5, math.inf, math.nan])
def test_an_outcome_is_bad_where_it_cannot_be_read(losses, norm):
    made = Outcome([torch.tensor(loss) for loss in losses], torch.tensor(norm), 7, 0.1)
    good = math.isfinite(sum(losses)) and math.isfinite(norm)
    assert made.bad().item() == float(not good)
    if good:
        assert (made.read(), made.norm) == (0.5, 0.5)
    else:
        with pytest.raises(NotFinite):
            made.read()


def test_losses_that_only_overflow_together_are_read_as_the_device_saw_them():
    """They are summed in float64, where the device looks at each: both say finite."""
    made = Outcome([torch.tensor(3e38), torch.tensor(3e38)], torch.tensor(1.0), 1, 0.1)
    assert made.bad().item() == 0.0
    assert math.isfinite(made.read())


def test_steps_are_recorded_in_their_order_and_the_first_at_once():
    seen = []
    awaited = Awaited(lambda taken: seen.append(taken.step))
    for step in range(1, 5):
        outcome = Outcome([torch.tensor(1.0)], torch.tensor(1.0), 1, 0.1)
        awaited.add(Taken(step, {}, {}, 0.1, outcome), late=True)
        assert seen == list(range(1, max(2, step)))
    awaited.read()
    assert seen == [1, 2, 3, 4]


def go(shards, tokenizer, out, model, settings=SETTINGS, **more):
    return train(shards, tokenizer, out, model, settings, report=lambda _: None, **more)


def trap_at(shards, *numbers):
    """A model for which the batches of these steps are bad."""
    from corpora.rows.dataset import ShardRows

    rows = ShardRows(shards, batch_size=5)
    first = tuple(tuple(rows.batch(0, number - 1)["input_ids"][1, :6].tolist()) for number in numbers)
    return LateTrap(**SHAPE, bad=first)


@pytest.mark.parametrize("numbers", [(), (4,), (1,), (3, 7), (9,), (6, 8)])
def test_a_training_read_late_is_the_same_training(shards, tokenizer, tmp_path, monkeypatch, numbers):
    """Bad steps at the beginning, before a checkpoint and a validation, and at the end."""
    model = trap_at(shards, *numbers)
    plain = go(shards, tokenizer, tmp_path / "plain", model)
    kept = sorted((tmp_path / "plain/checkpoints").glob("bad-*"))
    monkeypatch.setattr(Steps, "_can_be_late", lambda _self: True)
    late = go(shards, tokenizer, tmp_path / "late", model)
    assert files.sha256(tmp_path / "late/model.safetensors") == files.sha256(tmp_path / "plain/model.safetensors")
    assert late["history"] == plain["history"]
    assert late["skipped_steps"] == plain["skipped_steps"] == list(numbers)
    assert [path.name for path in kept] == [f"bad-batch-{number:08d}.json" for number in numbers]
    for path in kept:
        assert (tmp_path / "late/checkpoints" / path.name).read_bytes() == path.read_bytes()


class Interrupted(Exception):
    pass


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(
    ("last", "optimizer"),
    [*((last, "adamw") for last in (1, 3, 4, 8)), (4, "adafactor"), (4, "adamwscale")],
)
def test_interruptions_leave_no_trace(shards, tokenizer, tmp_path, last, optimizer):
    def done(step, _steps):
        if step == last:
            raise Interrupted

    model, settings = trap_at(shards, 4), msgspec.structs.replace(SETTINGS, optimizer=optimizer)
    whole = go(shards, tokenizer, tmp_path / "whole", model, settings)
    with pytest.raises(Interrupted):
        go(shards, tokenizer, tmp_path / "cut", model, settings, done=done)
    again = go(shards, tokenizer, tmp_path / "cut", model, settings)
    assert again["history"] == whole["history"]
    assert files.sha256(tmp_path / "cut/model.safetensors") == files.sha256(tmp_path / "whole/model.safetensors")


@pytest.mark.parametrize("late_first", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_a_training_goes_on_on_another_device(shards, tokenizer, tmp_path, monkeypatch, optimizer, late_first):
    """What the device counted, the host goes on counting, and the other way round."""

    def done(step, _steps):
        if step == 7:
            raise Interrupted

    model, settings = trap_at(shards, 4), msgspec.structs.replace(SETTINGS, optimizer=optimizer, learning_rate=0.01)
    whole = go(shards, tokenizer, tmp_path / "whole", model, settings)
    monkeypatch.setattr(Steps, "_can_be_late", lambda _self: late_first)
    with pytest.raises(Interrupted):
        go(shards, tokenizer, tmp_path / "cut", model, settings, done=done)
    monkeypatch.setattr(Steps, "_can_be_late", lambda _self: not late_first)
    found = go(shards, tokenizer, tmp_path / "cut", model, settings)
    assert found["history"] == [pytest.approx(point, rel=1e-4) for point in whole["history"]]
    kept = torch.load(checkpoint.found(tmp_path / "cut")[-1], weights_only=True)["optimizer"]["state"]
    assert {int(one["step"]) for one in kept.values()} == {8}  # nine, and one was bad
    on_the_device = optimizer == "adamw" or not late_first
    assert {torch.is_tensor(one["step"]) for one in kept.values()} == {on_the_device}


@pytest.mark.usefixtures("late")
def test_too_many_bad_steps_end_it_with_a_state_that_is_whole(shards, tokenizer, tmp_path):
    """The step after the last of them was under way: it is in the state that is kept, and goes on from there."""
    model = trap_at(shards, 4, 5)
    with pytest.raises(TooManyBad, match="2 steps in a row had no update"):
        go(shards, tokenizer, tmp_path, model)
    newest = checkpoint.found(tmp_path)[-1]
    kept = torch.load(newest, weights_only=True)
    assert (kept["step"], kept["bad_batches"]["steps"]) == (6, [4, 5])
    assert [p["step"] for p in kept["history"] if "loss" in p] == [1, 2, 3, 6]
    rows = json.loads((tmp_path / "checkpoints/bad-batch-00000005.json").read_bytes())
    assert rows["step"] == 5
    metrics = go(shards, tokenizer, tmp_path, model)
    assert metrics["skipped_steps"] == [4, 5]
    others = partial(go, shards, tokenizer, tmp_path / "more", model)
    assert others(msgspec.structs.replace(SETTINGS, max_skipped_steps=2))["history"] == metrics["history"]
    assert files.sha256(tmp_path / "more/model.safetensors") == files.sha256(tmp_path / "model.safetensors")


def test_a_compiled_or_checkpointed_training_leaves_a_plain_folder(shards, tokenizer, tmp_path, monkeypatch):
    """Weights under their names, and what transformers loads, with nothing of how they were trained. The compiler's
    front end stands in for all of it."""
    monkeypatch.setattr(steps_module, "compile_layers", partial(compiling.compile_layers, backend="eager"))
    monkeypatch.setattr(chunked_loss, "_compiled_elements", lambda: chunked_loss._elements_to_compile)
    plain, lines = tmp_path / "plain", []
    wanted = go(shards, tokenizer, plain, Llama(**SHAPE))["history"]
    names = load_file(plain / "model.safetensors").keys()
    torch._dynamo.reset()
    for name, value in {"compile": "on", "checkpoint_activations": True}.items():
        out, changed = tmp_path / name, msgspec.structs.replace(SETTINGS, **{name: value})
        found = train(shards, tokenizer, out, Llama(**SHAPE), changed, report=lines.append)["history"]
        for point, like in zip(found, wanted, strict=True):  # in nats; products of bfloat16 have 2**-9 of a weight
            assert {**point, **like} == pytest.approx(point, abs=0.01)
        assert load_file(out / "model.safetensors").keys() == names
        for file in ("config.json", "generation_config.json"):
            assert (out / file).read_bytes() == (plain / file).read_bytes()
    torch._dynamo.reset()
    assert not [line for line in lines if "failed" in line]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_only_a_gpu_with_an_optimizer_that_can_skip_is_read_late(optimizer):
    one = steps(late=None, optimizer=optimizer)
    assert not one.late
    one.device = torch.device("cuda")
    assert one._can_be_late()
    one.optimizer = torch.optim.SGD(one.model.parameters(), lr=0.1)
    assert not one._can_be_late()


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_a_group_without_gradients_stays_as_it_is(optimizer):
    used, unused = torch.nn.Parameter(torch.ones(3, 4)), torch.nn.Parameter(torch.ones(3))
    groups = [{"params": [used], "weight_decay": 0.1}, {"params": [unused], "weight_decay": 0.0}]
    one = OPTIMIZERS.get(optimizer).build(groups, SETTINGS, torch.device("cpu"))
    used.grad, one.found_inf = torch.ones(3, 4), torch.zeros(())
    one.step()
    assert (unused == 1).all()
    assert (used != 1).all()


class NobodyReads(TorchDispatchMode):
    """Raises where a tensor becomes a number, for which the host would wait for a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(function), f"a number is read: {args}"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_no_step_reads_a_number_of_the_device(monkeypatch, optimizer):
    def read(_tensor):
        raise AssertionError("a list is read")

    monkeypatch.setattr(steps_module, "_num_targets", lambda _prepared: 64)  # on a GPU it counts on the host
    one = steps(late=True, optimizer=optimizer, weight_decay=0.1)
    one.optimizer._factor_from = 8
    for seed in range(3):
        with NobodyReads(), monkeypatch.context() as patched:
            patched.setattr(torch.Tensor, "tolist", read)
            outcome = one._start(batch(seed), 0.01)
        assert one.read(outcome) > 0
    monkeypatch.setattr(torch.Tensor, "tolist", read)
    with pytest.raises(AssertionError, match="a list is read"):
        steps(late=False, optimizer=optimizer)._start(batch(), 0.01)
    with pytest.raises(AssertionError, match="a number is read"), NobodyReads():
        torch.ones(()).item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_no_step_on_a_gpu_waits_for_it(optimizer):
    device, family = torch.device("cuda"), Llama(**SHAPE)
    chosen = msgspec.structs.replace(SETTINGS, optimizer=optimizer, weight_decay=0.1)
    one = Steps(family.build(seed=0).to(device), family, chosen, device, micro_rows=2, bfloat16=False, pad_id=0)
    assert one.late
    outcomes = [one.start(batch(seed), 0.01) for seed in range(2)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        outcomes += [one.start(batch(seed), 0.01) for seed in range(2, 5)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(math.isfinite(one.read(outcome)) for outcome in outcomes)
