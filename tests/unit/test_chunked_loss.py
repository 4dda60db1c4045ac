"""The loss without whole logits equals the readable one, for every head and any chunk, and so do gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from tamiz.trainer.families import chunked_loss
from tamiz.trainer.families.base import IGNORED, summed_cross_entropy
from tamiz.trainer.families.chunked_loss import chunk_rows, chunked_cross_entropy, compiled_chunks
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.families.t5_backbone import T5Backbone
from tamiz.trainer.vocabulary_rows import set_rows

# float32 rounds to 6e-8 of a value, and a sum over 60 targets or 50 ids adds up a few such errors
RELATIVE, ABSOLUTE = 1e-5, 2e-6
IDS = 50
FAMILIES = {
    "t5": T5(vocab_size=IDS, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1),
    "untied t5": T5(
        vocab_size=IDS, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1,
        tie_embeddings=False, feed_forward="gated-gelu",
    ),
    "t5-backbone": T5Backbone(
        vocab_size=IDS, hidden_dim=16, intermediate_dim=32, num_heads=2, num_layers=1, dropout=0.0
    ),
    "llama": Llama(vocab_size=IDS, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2),
    "tied llama": Llama(
        vocab_size=IDS, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2, tie_embeddings=True
    ),
    "gptj": GptJ(vocab_size=IDS, hidden_size=16, num_layers=1, num_heads=2, rotary_dim=4, max_position_embeddings=64),
}  # fmt: skip


def case(dtype, *, bias, padded, scale=1.0, rows=(2, 29), ignored=0.2, seed=0):
    """A head, hidden states that require a gradient, and targets."""
    source = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(8, IDS + padded, bias=bias, dtype=dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=dtype) * scale)
    hidden = torch.randn(*rows, 8, generator=source, dtype=dtype).requires_grad_()
    targets = torch.randint(0, IDS, rows, generator=source)
    targets[torch.rand(rows, generator=source) < ignored] = IGNORED
    return head, hidden, targets


def whole(head, hidden, targets, z_loss):
    """The readable twin, in the type of its arguments."""
    logits = head(hidden)[..., :IDS].flatten(0, 1)
    total = functional.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum")
    added = z_loss * logits.logsumexp(-1).square()[targets.flatten() != IGNORED].sum()
    return total + added - added.detach()


def with_gradients(head, hidden, loss, outer=0.37):
    given = [hidden, *head.parameters()]
    return [loss.detach(), *torch.autograd.grad(loss * outer, given)]


@pytest.mark.parametrize(("bias", "padded", "z_loss"), list(itertools.product((False, True), (0, 6), (0.0, 0.03))))
@pytest.mark.parametrize("chunk", [1, 7, 29, 57, 58, 1000, None])
def test_it_equals_the_readable_loss(bias, padded, z_loss, chunk):
    head, hidden, targets = case(torch.float32, bias=bias, padded=padded)
    expected = with_gradients(head, hidden, whole(head, hidden, targets, z_loss))
    loss = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS, z_loss=z_loss, chunk=chunk)
    for found, wanted in zip(with_gradients(head, hidden, loss), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=RELATIVE, atol=ABSOLUTE)
    plain = summed_cross_entropy(head(hidden)[..., :IDS], targets, z_loss)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-6)
    if padded:
        assert not torch.autograd.grad(
            chunked_cross_entropy(hidden, head, targets, vocab_size=IDS), head.weight
        )[0][IDS:].any()  # fmt: skip


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
@pytest.mark.parametrize("ignored", [0.0, 1.0])
def test_float32_is_as_near_to_float64_as_the_readable_loss_is(scale, ignored):
    """Logits of up to 1e5; no targets at all."""
    head, hidden, targets = case(torch.float32, bias=True, padded=3, scale=scale, ignored=ignored)
    exact_head, exact_hidden, _ = case(torch.float64, bias=True, padded=3, scale=scale, ignored=ignored)
    with torch.no_grad():
        exact_head.load_state_dict(head.state_dict())
        exact_hidden.copy_(hidden)
    exact = with_gradients(exact_head, exact_hidden, whole(exact_head, exact_hidden, targets, 0.001))
    loss = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS, z_loss=0.001, chunk=7)
    plain = with_gradients(head, hidden, whole(head, hidden, targets, 0.001))
    for found, near, wanted in zip(with_gradients(head, hidden, loss), plain, exact, strict=True):
        size = wanted.abs().max().item()
        assert (found - wanted).abs().max() <= 2 * (near - wanted).abs().max() + 1e-6 * size
        assert torch.isfinite(found).all()


@pytest.mark.parametrize(("scale", "z_loss"), [(1.0, 0.0), (1.0, 0.03), (50.0, 0.001)])
def test_the_form_that_is_compiled_is_the_same(scale, z_loss):
    """It has no break for the compiler, whose front end runs it here."""
    head, hidden, targets = case(torch.float32, bias=True, padded=0, scale=scale)
    logits = head(hidden).flatten(0, 1).detach()
    traced = torch.compile(chunked_loss._elements_to_compile, backend="eager", fullgraph=True, dynamic=False)
    wanted = chunked_loss._elements(logits.clone(), targets.flatten(), z_loss)
    for form in (chunked_loss._elements_to_compile, traced):
        found = form(logits.clone(), targets.flatten(), z_loss)
        assert found.loss.item() == pytest.approx(wanted.loss.item(), rel=1e-5)
        assert torch.allclose(found.error, wanted.error, atol=1e-5)  # of logits of up to 300, which have 3e-5 each
        assert torch.allclose(found.factor, wanted.factor, rtol=1e-5)


def test_one_target_and_one_id():
    head, hidden, targets = case(torch.float32, bias=False, padded=0, rows=(1, 1), ignored=0.0)
    expected = with_gradients(head, hidden, whole(head, hidden, targets, 0.0))
    found = with_gradients(head, hidden, chunked_cross_entropy(hidden, head, targets, vocab_size=IDS))
    assert all(torch.allclose(a, b, atol=ABSOLUTE) for a, b in zip(found, expected, strict=True))
    alone = torch.zeros_like(targets)
    assert chunked_cross_entropy(hidden, head, alone, vocab_size=1).item() == 0.0


def test_a_loss_that_is_no_number_stays_one():
    head, hidden, targets = case(torch.float32, bias=False, padded=0, ignored=0.0)
    with torch.no_grad():
        hidden[0, 0, 0] = float("inf")
    loss = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS, chunk=7)
    assert not torch.isfinite(loss)


def test_frozen_and_undifferentiated_parts_cost_nothing():
    head, hidden, targets = case(torch.float32, bias=True, padded=0)
    head.requires_grad_(requires_grad=False)
    loss = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS)
    expected = torch.autograd.grad(whole(head, hidden, targets, 0.0), hidden)[0]
    assert torch.allclose(torch.autograd.grad(loss, hidden)[0], expected, atol=ABSOLUTE)
    with torch.no_grad():
        assert not chunked_cross_entropy(hidden, head, targets, vocab_size=IDS).requires_grad


def test_bfloat16_sums_in_float32_over_chunks():
    """Gradients of many chunks are as near to float32's as those of one, but for bfloat16's rounding, 2**-8."""
    head, hidden, targets = case(torch.float32, bias=True, padded=2, rows=(8, 64))
    expected = with_gradients(head, hidden, whole(head, hidden, targets, 0.0))
    half = torch.nn.Linear(8, IDS + 2, dtype=torch.bfloat16)
    half.load_state_dict(head.state_dict())
    loss = chunked_cross_entropy(hidden.bfloat16(), half, targets, vocab_size=IDS, chunk=16)
    found = [loss, *torch.autograd.grad(loss * 0.37, [hidden, *half.parameters()])]
    assert loss.dtype == torch.float32
    for a, b in zip(found, expected, strict=True):
        assert (a.float() - b).norm() <= 2**-6 * b.norm()


def test_autocast_is_heeded():
    head, hidden, targets = case(torch.float32, bias=True, padded=0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS)
        plain = summed_cross_entropy(head(hidden), targets)
    assert loss.item() == pytest.approx(plain.item(), rel=2**-8)
    assert torch.autograd.grad(loss, head.weight)[0].dtype == torch.float32


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("rows", [IDS, 64])
def test_families_have_the_loss_of_their_logits(name, rows):
    """With tied and separate heads, T5's scaling, GPT-J's bias, and rows that pad the vocabulary."""
    family = FAMILIES[name]
    model = family.build(seed=0)
    if rows != IDS:
        set_rows(model, rows)
    ids = torch.randint(3, IDS, (3, 12), generator=torch.Generator().manual_seed(0))
    prepared = {"input_ids": ids, "targets": ids.flip(1).clone()}
    prepared["targets"][0, 5:] = IGNORED
    given = dict(prepared)
    if model.config.is_encoder_decoder:
        decoder_ids = model.prepare_decoder_input_ids_from_labels(given.pop("targets"))
        logits = model(**given, decoder_input_ids=decoder_ids).logits
    else:
        logits = model(input_ids=ids).logits
    wanted = summed_cross_entropy(logits[..., :IDS], prepared["targets"], 0.01)
    found = family.loss(model, prepared, 0.01)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(wanted, parameters), strict=True):
        assert (a - b).norm() <= 1e-5 * b.norm() + 1e-6


@pytest.mark.skipif(not hasattr(functional, "linear_cross_entropy"), reason="torch is older than 2.13")
def test_it_equals_torchs_own():
    head, hidden, targets = case(torch.float32, bias=True, padded=0)
    theirs = functional.linear_cross_entropy(
        hidden.flatten(0, 1), head.weight, targets.flatten(), linear_bias=head.bias, reduction="sum"
    )
    ours = chunked_cross_entropy(hidden, head, targets, vocab_size=IDS, chunk=11)
    for a, b in zip(with_gradients(head, hidden, ours), with_gradients(head, hidden, theirs), strict=True):
        assert torch.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE)


def test_chunks_fit_a_cpus_caches():
    assert [chunk_rows("cpu", ids) for ids in (1, 5000, 32_000, 10**9)] == [4_194_304, 838, 131, 1]
    assert chunk_rows("cuda", 32_000) == 8192


def test_nothing_is_compiled_unless_asked():
    assert not chunked_loss._compiled.get()
    with compiled_chunks(True):
        assert chunked_loss._compiled.get()
    assert not chunked_loss._compiled.get()
