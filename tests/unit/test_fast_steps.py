"""What makes a step fast on a GPU, on a CPU: bfloat16 copies of weights, compiled layers, rows found by trial,
checkpointed activations; and the precision of products."""

from __future__ import annotations

import itertools

import msgspec
import pytest
import torch

from corpora.errors import TamizError
from tamiz.trainer import compiling, device, fitting
from tamiz.trainer.copies import Copies
from tamiz.trainer.families.base import IGNORED
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps, filled_up

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
IDS = 64
FAMILIES = {
    "t5": T5(vocab_size=IDS, d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2, num_decoder_layers=2),
    "t5 1.1": T5(
        vocab_size=IDS, d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2, num_decoder_layers=2,
        feed_forward="gated-gelu", tie_embeddings=False,
    ),
    "llama": Llama(
        vocab_size=IDS, hidden_size=32, intermediate_size=64, num_layers=3, num_heads=2, document_masks=False,
        max_position_embeddings=64,
    ),
    "gptj": GptJ(
        vocab_size=IDS, hidden_size=32, num_layers=2, num_heads=2, rotary_dim=8, document_masks=False,
        max_position_embeddings=64,
    ),
}  # fmt: skip
SETTINGS = TrainSettings(steps=10, batch_size=8, precision="float32")


def steps(name, *, micro_rows=8, bfloat16=False, **settings):
    family = FAMILIES[name]
    chosen = msgspec.structs.replace(SETTINGS, **settings)
    return Steps(
        family.build(seed=0), family, chosen, CPU, micro_rows=micro_rows, bfloat16=bfloat16, pad_id=0, late=None
    )


def batch(name, rows=8, seed=0):
    ids = torch.randint(3, IDS, (rows, 33), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids[:, :9].clone()} if name.startswith("t5") else {"input_ids": ids}


# bfloat16 copies


@pytest.mark.parametrize("name", FAMILIES)
def test_copies_learn_what_float32_learns(name):
    """bfloat16 rounds to 2**-9 of a value; over some layers, gradients differ by a few times that. Masters and
    their gradients are float32, and so is what the optimizer has."""
    half, whole = steps(name, bfloat16=True), steps(name)
    loss, exact = half.train(batch(name), 1e-3), whole.train(batch(name), 1e-3)
    assert loss == pytest.approx(exact, rel=0.01)
    for a, b in zip(half.model.parameters(), whole.model.parameters(), strict=True):
        assert a.dtype == a.grad.dtype == torch.float32
        assert (a.grad - b.grad).norm() <= 0.1 * b.grad.norm() + 1e-6
    for values in half.optimizer.state.values():
        assert values["exp_avg"].dtype == torch.float32
    before = half.validate([batch(name)])
    for _ in range(10):
        half.train(batch(name), 1e-2)
    assert half.validate([batch(name)]) < before - 0.2
    assert all("." in key or key for key in half.model.state_dict())
    assert {p.dtype for p in half.model.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("name", ["t5", "gptj"])
def test_copies_add_up_micro_batches_in_float32(name):
    """A sum of bfloat16 gradients that is rounded once per micro-batch, not at each addition."""
    family = FAMILIES[name]
    model = family.build(seed=0)
    copies = Copies(model)
    rows = family.prepare(batch(name), 0)
    wanted: dict[str, torch.Tensor] = {}
    for row in range(8):
        one = {key: tensor[row : row + 1] for key, tensor in rows.items()}
        family.loss(copies.model, one).backward()
        assert all(made.grad is None for made in copies.model.parameters())
    found = {key: p.grad.clone() for key, p in model.named_parameters()}
    for row in range(8):
        model.zero_grad()
        one = {key: tensor[row : row + 1] for key, tensor in rows.items()}
        family.loss(copies.model, one).backward()
        for key, p in model.named_parameters():
            wanted[key] = wanted[key] + p.grad if key in wanted else p.grad.clone()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_copies_stay_tied_frozen_and_fresh_and_buffers_stay_float32():
    model = FAMILIES["t5"].build(seed=0)
    frozen = model.encoder.block[0].layer[0].SelfAttention.q.weight.requires_grad_(requires_grad=False)
    copies = Copies(model)
    assert copies.model.lm_head.weight is copies.model.shared.weight is copies.model.encoder.embed_tokens.weight
    assert not copies.model.encoder.block[0].layer[0].SelfAttention.q.weight.requires_grad
    with torch.no_grad():
        frozen.fill_(0.5)
        model.shared.weight.fill_(0.25)
    copies.refresh()
    assert copies.model.encoder.block[0].layer[0].SelfAttention.q.weight.eq(0.5).all()
    assert copies.model.lm_head.weight.eq(0.25).all()
    llama = Copies(FAMILIES["llama"].build(seed=0)).model
    assert {buffer.dtype for buffer in llama.buffers()} == {torch.float32}
    assert {parameter.dtype for parameter in llama.parameters()} == {torch.bfloat16}


# checkpointed activations


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpointing_learns_the_same(name):
    """But for float32's rounding; with dropout, too: the second forward pass draws the same numbers."""
    family = FAMILIES[name]
    if name == "t5":
        family = msgspec.structs.replace(family, dropout=0.1)

    def weights(*, checkpoint_activations):
        torch.manual_seed(1)
        chosen = msgspec.structs.replace(SETTINGS, checkpoint_activations=checkpoint_activations)
        one = Steps(family.build(seed=0), family, chosen, CPU, micro_rows=4, bfloat16=False, pad_id=0)
        assert all(layer.gradient_checkpointing == checkpoint_activations for layer in compiling.blocks(one.model))
        losses = [one.train(batch(name, seed=seed), 1e-3) for seed in range(3)]
        return losses, one.model.state_dict()

    (losses, plain), (again, saving) = weights(checkpoint_activations=False), weights(checkpoint_activations=True)
    assert losses == pytest.approx(again, rel=1e-6)
    assert all(torch.allclose(plain[key], saving[key], atol=1e-5) for key in plain)


def test_what_changes_bits_is_part_of_what_the_model_is_once_it_is_set():
    assert msgspec.structs.replace(SETTINGS, deterministic=True).identity() == SETTINGS.identity()
    for name, value in {"checkpoint_activations": True, "compile": "on"}.items():
        changed = msgspec.structs.replace(SETTINGS, **{name: value}).identity()
        assert changed == SETTINGS.identity() | {name: value}


# compiled layers


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_layers_are_compiled_once_for_their_shapes_and_keep_their_names(name):
    """A backend that runs the graph as it is counts them: no more after the first steps and validations."""
    one, plain = steps(name, micro_rows=3), steps(name, micro_rows=3)
    graphs = []

    def counting(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiling.compile_layers(one.model, counting)
    one._compiled = False
    for seed in range(2):
        assert one.train(batch(name, seed=seed), 1e-3) == pytest.approx(
            plain.train(batch(name, seed=seed), 1e-3), rel=1e-5
        )
        one.validate([batch(name, seed=7)])
    first = len(graphs)
    assert first > 0
    for seed in range(3):
        one.train(batch(name, seed=seed), 1e-3)
        one.validate([batch(name, seed=7)])
    assert len(graphs) == first
    assert one.model.state_dict().keys() == plain.model.state_dict().keys()
    compiling.uncompile_layers(one.model)
    one.train(batch(name), 1e-3)
    torch._dynamo.reset()


def test_a_short_micro_batch_is_filled_up_where_layers_are_compiled():
    one, plain = steps("llama", micro_rows=3), steps("llama", micro_rows=3)
    one._compiled = True
    widths = [len(rows["input_ids"]) for rows in one._micro_batches(FAMILIES["llama"].prepare(batch("llama"), 0))]
    assert widths == [3, 3, 3]
    one._loss = plain._loss  # what follows needs no compiler
    prepared = FAMILIES["llama"].prepare(batch("llama"), 0)
    filled = filled_up(prepared, 3)
    assert (filled["targets"][-1] == IGNORED).all()
    assert torch.equal(filled["targets"][:-1], prepared["targets"])
    assert filled_up(prepared, 4) is prepared


def test_a_compiler_that_fails_is_said_and_left_out(monkeypatch):
    one, lines = steps("llama"), []

    def broken(_model, _backend="inductor"):
        for layer in compiling.blocks(one.model):
            layer._compiled_call_impl = raising

    def raising(*_arguments, **_named):
        raise RuntimeError("no C++ compiler\nfound")

    monkeypatch.setattr("tamiz.trainer.steps.compile_layers", broken)
    one.compile(batch("llama"), lines.append)
    assert lines == [
        "torch.compile failed (RuntimeError: no C++ compiler found): layers run without it; train.compile = 'off' "
        "leaves it out"
    ]
    assert not one._compiled
    assert one.train(batch("llama"), 1e-3) == steps("llama").train(batch("llama"), 1e-3)


def test_too_little_memory_is_no_fault_of_the_compiler():
    def attempt():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        compiling.compiled_or_not(attempt, lambda: None, print)


@pytest.mark.parametrize(
    ("wanted", "place", "compiles"),
    [("auto", CPU, False), ("auto", CUDA, True), ("on", CPU, True), ("off", CUDA, False)],
)
def test_when_layers_are_compiled(wanted, place, compiles):
    chosen = msgspec.structs.replace(SETTINGS, compile=wanted)
    assert compiling.wants_compiled(chosen, place) is compiles
    gathered = msgspec.structs.replace(chosen, parallel="fsdp")
    assert compiling.wants_compiled(gathered, place, 2) is (wanted == "on")


# rows at a time


def limited(most):
    """An attempt that has room for so many rows, and what it was asked for."""
    asked = []

    def attempt(rows):
        asked.append(rows)
        if rows > most:
            raise torch.OutOfMemoryError(f"{rows} rows")

    return attempt, asked


@pytest.mark.parametrize(("most", "rows"), list(itertools.product((1, 2, 3, 7, 8, 9, 64, 1000), (1, 2, 5, 8, 100))))
def test_rows_are_doubled_until_they_have_no_room(most, rows):
    attempt, asked = limited(most)
    freed = []
    found = fitting.most_rows(attempt, rows, lambda: freed.append(True))
    sizes = [n for n in (1, 2, 4, 8, 16, 32, 64) if n < rows] + [rows]
    assert found == max(n for n in sizes if n <= most)
    assert len(freed) == (found < rows)
    assert asked == sizes[: len(asked)]
    equal = fitting.even(rows, found)
    assert equal <= found
    assert -(-rows // equal) == -(-rows // found)


def test_no_room_for_one_row_is_said():
    attempt, _ = limited(0)
    with pytest.raises(
        TamizError, match=r"too little memory for one row at a time: set train.checkpoint_activations"
    ):
        fitting.most_rows(attempt, 4, lambda: None)


def test_a_trial_leaves_no_trace_and_is_remembered(monkeypatch):
    one, plain, lines = steps("llama"), steps("llama"), []
    tried, own = [], Steps.attempt

    def attempt(self, given, rows):
        tried.append(rows)
        own(self, given, rows)
        if rows > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Steps, "attempt", attempt)
    before = torch.get_rng_state()
    known = fitting.found_rows(one, batch("llama"), None, lines.append)
    assert torch.equal(torch.get_rng_state(), before)
    assert (known, one.micro_rows, tried) == ({"rows": 4, "device": "cpu"}, 4, [1, 2, 4, 8])
    assert all(parameter.grad is None for parameter in one.model.parameters())
    plain.micro_rows = 4
    assert one.train(batch("llama"), 1e-3) == plain.train(batch("llama"), 1e-3)
    again = steps("llama")
    assert fitting.found_rows(again, batch("llama"), known, lines.append) is known
    assert (again.micro_rows, len(tried)) == (4, 4)
    assert lines == [
        "4 of 8 rows at a time: 4 have room in the memory of the cpu",
        "4 rows at a time, as before",
    ]
    assert fitting.found_rows(again, batch("llama"), {"rows": 1, "device": "another"}, lines.append)["rows"] == 4


def test_running_out_of_memory_in_a_step_is_said_with_what_to_set(monkeypatch):
    one = steps("llama", micro_rows=3)
    monkeypatch.setattr(one, "_loss", lambda *_: limited(0)[0](3))
    with pytest.raises(
        TamizError, match=r"for 3 rows at a time: set train.micro_batch_size below 3, or train.checkp"
    ):
        one.train(batch("llama"), 1e-3)


def test_rows_are_tried_on_one_gpu_alone():
    assert device.tries_rows(SETTINGS, CUDA, 1)
    assert not device.tries_rows(SETTINGS, CUDA, 2)
    assert not device.tries_rows(SETTINGS, CPU, 1)
    assert not device.tries_rows(msgspec.structs.replace(SETTINGS, micro_batch_size=2), CUDA, 1)


# precision


@pytest.mark.parametrize(
    ("precision", "amx", "wanted"),
    [
        ("auto", True, "medium"),
        ("auto", False, "highest"),
        ("float32", True, "highest"),
        ("bfloat16", False, "medium"),
    ],
)
def test_products_on_a_cpu(monkeypatch, precision, amx, wanted):
    monkeypatch.setattr(device, "has_amx", lambda: amx)
    chosen = msgspec.structs.replace(SETTINGS, precision=precision)
    assert device.matmul_precision(chosen, CPU) == wanted
    assert device.matmul_precision(chosen, CUDA) == "high"
    assert not device.uses_bfloat16(chosen, CPU)
    with device.repeatable(chosen):
        assert torch.get_float32_matmul_precision() == wanted
        assert torch.are_deterministic_algorithms_enabled()
    words = {"medium": "float32, products in bfloat16", "highest": "float32"}
    assert device.precision_words(chosen, CPU) == words[wanted]


@pytest.mark.skipif(not device.has_amx(), reason="the CPU has no AMX")
def test_products_are_rounded_where_the_cpu_has_amx_and_nowhere_else():
    a, b = torch.randn(64, 96, generator=torch.Generator().manual_seed(0)), torch.ones(96, 64)
    exact = a @ b
    with device.repeatable(msgspec.structs.replace(SETTINGS, precision="auto")):
        rounded, again = a @ b, a @ b
    with device.repeatable(SETTINGS):
        plain = a @ b
    assert torch.equal(rounded, again)
    assert torch.equal(plain, exact)
    assert torch.allclose(rounded, (a.bfloat16().float() @ b), atol=1e-4)
    assert not torch.equal(rounded, exact)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_the_loss_curve_is_that_of_the_plain_path(name, precision):
    """20 steps of the trainer against plain torch: transformers' own logits and loss, AdamW parameter by parameter.

    In float32 both round differently, 6e-8 of each number, which steps may double: 1e-4 nats are a thousand times
    that. Products of bfloat16 round their factors to 2**-9: 0.02 nats.
    """
    bound = 1e-4 if precision == "float32" or not device.has_amx() else 0.02
    chosen = msgspec.structs.replace(SETTINGS, precision=precision)
    with device.repeatable(chosen):
        fast = steps(name, micro_rows=3)
        found = [fast.train(batch(name, seed=seed % 4), 3e-3) for seed in range(20)]
    with device.repeatable(SETTINGS):
        wanted = plain_losses(name)
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= bound
    assert found[-1] < found[0] - 0.1


def plain_losses(name):
    """The readable twin of a step, on whole batches."""
    model = FAMILIES[name].build(seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0, foreach=False, fused=False)
    losses = []
    for seed in range(20):
        given = batch(name, seed=seed % 4)
        if name.startswith("t5"):
            loss = model.train()(**given).loss
        else:
            logits = model.train()(input_ids=given["input_ids"][:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), given["input_ids"][:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
