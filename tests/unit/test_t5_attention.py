"""T5's attention against transformers' own, gradients included, and what it leaves as it was."""

from __future__ import annotations

import json

import msgspec
import pytest
import torch

from tamiz.trainer.families import attention, t5_attention
from tamiz.trainer.families.base import INPUT_MASK, TARGETS, summed_cross_entropy
from tamiz.trainer.families.t5 import T5

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = T5(vocab_size=64, num_layers=3, num_decoder_layers=2, d_model=32, d_ff=48, d_kv=8, num_heads=4)


def plain(model, kernel="eager"):
    """transformers' own model, with equal weights."""
    from transformers import T5ForConditionalGeneration

    made = T5ForConditionalGeneration._from_config(model.config, attn_implementation=kernel)
    made.load_state_dict(model.state_dict())
    return made.train(model.training)


def batch(rows, inputs, targets, seed=0):
    source = torch.Generator().manual_seed(seed)
    return {
        "input_ids": torch.randint(3, 64, (rows, inputs), generator=source),
        "labels": torch.randint(3, 64, (rows, targets), generator=source),
    }


def expected_loss(model, rows):
    """As transformers computes it, with the masks that it makes."""
    targets = rows["labels"].masked_fill(rows["labels"] == 0, -100)
    logits = model(
        input_ids=rows["input_ids"], attention_mask=(rows["input_ids"] != 0).long(),
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(targets), use_cache=False,
    ).logits  # fmt: skip
    return summed_cross_entropy(logits, targets)


def assert_same(family, model, other, rows, seed=0):
    losses = []
    for one, loss in ((model, lambda: family.loss(model, family.prepare(rows, 0))), (other, None)):
        one.zero_grad()
        torch.manual_seed(seed)
        losses.append(expected_loss(other, rows) if loss is None else loss())
        losses[-1].backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=2e-6)
    largest = max(parameter.grad.abs().max().item() for parameter in other.parameters())
    for (name, ours), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        # sums of up to 4,096 numbers in another order: a few last bits of the largest; and what is exactly 0, as the
        # queries' gradient if there is one key, is what two kernels leave of numbers as large as the other gradients
        bound = 2e-5 * theirs.grad.abs().max().item() + 1e-6 * largest
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0.0, atol=bound, msg=name)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(
    ("rows", "inputs", "targets"), [(3, 40, 13), (1, 1, 1), (2, 1, 9), (1, 9, 1), (2, 129, 127), (1, 300, 5)]
)
def test_loss_and_gradients_are_those_of_transformers(rows, inputs, targets, dropout):
    """The gradient of the table of distances included. Both drop the same weights."""
    family = msgspec.structs.replace(TINY, dropout=dropout)
    model = family.build(seed=1).train()
    for seed in (0, 1):
        assert_same(family, model, plain(model), batch(rows, inputs, targets, seed), seed)


@pytest.mark.parametrize("width", [8, 24, 64, 128, 256])
def test_heads_of_any_width(width):
    family = msgspec.structs.replace(TINY, d_kv=width, num_heads=2, num_layers=1, num_decoder_layers=1)
    model = family.build(seed=1)
    assert_same(family, model, plain(model), batch(2, 33, 17))


@pytest.mark.parametrize("kernel", [attention.PLAIN, attention.PRODUCTS, attention.EAGER])
def test_other_kernels(kernel):
    model = TINY.build(seed=1)
    other = plain(model)
    attention.use(model, kernel)
    rows = batch(3, 33, 17)
    rows["input_ids"][1, 20:] = 0
    assert_same(TINY, model, other, rows)


def test_padding_is_not_seen():
    """Shorter rows, one of a single id, padding between ids, and padded targets."""
    model, rows = TINY.build(seed=1), batch(4, 21, 11)
    rows["input_ids"][0, 15:] = rows["input_ids"][1, 1:] = rows["input_ids"][2, 4:8] = 0
    rows["labels"][1, 2:] = 0
    assert INPUT_MASK in TINY.prepare(rows, 0)
    assert_same(TINY, model, plain(model), rows)
    other = {**rows, "input_ids": rows["input_ids"].clone()}
    logits = [full_logits(model, TINY.prepare(given, 0)) for given in (rows, other)]
    prepared = TINY.prepare(other, 0)
    prepared["input_ids"][0, 15:] = 9  # hidden as before: nothing sees it
    assert torch.equal(logits[0], full_logits(model, prepared))


def full_logits(model, prepared):
    decoder_ids = model.prepare_decoder_input_ids_from_labels(prepared[TARGETS])
    return model(
        input_ids=prepared["input_ids"], attention_mask=prepared.get(INPUT_MASK), decoder_input_ids=decoder_ids,
        use_cache=False,
    ).logits  # fmt: skip


def test_a_row_of_padding_alone_is_finite():
    """As with transformers' sdpa, which gives the hidden biases no gradient, either."""
    model, rows = TINY.build(seed=1), batch(3, 21, 11)
    rows["input_ids"][1] = 0
    assert_same(TINY, model, plain(model, "sdpa"), rows)


def test_full_rows_have_no_mask():
    assert TINY.prepare(batch(2, 5, 3), 0).keys() == {"input_ids", TARGETS}


@pytest.mark.parametrize("width", [1, 2, 5, 130])
@pytest.mark.parametrize("decoder", [False, True])
def test_the_bias_is_looked_up_by_distance(width, decoder):
    """Bit by bit what transformers looks up for each pair, and the least number where a decoder doesn't see."""
    model = TINY.build(seed=1)
    layer = (model.decoder if decoder else model.encoder).block[0].layer[0].SelfAttention
    found = layer._bias(torch.zeros(1, width, 32), None)
    wanted = layer.compute_bias(width, width)
    if decoder:
        later = torch.ones(width, width, dtype=torch.bool).triu(1)
        wanted = wanted.masked_fill(later, torch.finfo(torch.float32).min)
    assert torch.equal(found, wanted)
    values = torch.arange(2 * (2 * width - 1)).view(2, -1)
    pairs = [[[row[k - q + width - 1] for k in range(width)] for q in range(width)] for row in values.tolist()]
    assert t5_attention.by_distance(values, width).tolist() == pairs


def test_in_bfloat16_the_bias_has_the_dtype_of_the_queries(monkeypatch):
    """Where nothing is seen it is finite."""
    seen = []
    biased = attention.biased_attention

    def look(query, key, value, bias, **how):
        seen.append((query.dtype, None if bias is None else bias))
        return biased(query, key, value, bias, **how)

    monkeypatch.setattr(attention, "biased_attention", look)
    model, rows = TINY.build(seed=1), batch(2, 9, 6)
    rows["input_ids"][0, 5:] = 0
    with torch.autocast("cpu", torch.bfloat16):
        loss = TINY.loss(model, TINY.prepare(rows, 0))
    loss.backward()
    assert loss.isfinite()
    biases = [bias for _, bias in seen]
    assert {dtype for dtype, _ in seen} == {torch.bfloat16}
    assert {bias.dtype for bias in biases} == {torch.bfloat16}
    assert all(bias.isfinite().all() for bias in biases)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_layers_share_one_bias(monkeypatch):
    seen = []
    biased = attention.biased_attention

    def look(query, key, value, bias, **how):
        seen.append(bias)
        return biased(query, key, value, bias, **how)

    monkeypatch.setattr(attention, "biased_attention", look)
    model = TINY.build(seed=1)
    TINY.loss(model, TINY.prepare(batch(3, 9, 6), 0))
    encoder, own, cross = seen[:3], seen[3::2], seen[4::2]
    assert [tuple(bias.shape) for bias in encoder] == 3 * [(1, 4, 9, 9)]
    assert [tuple(bias.shape) for bias in own] == 2 * [(1, 4, 6, 6)]
    assert cross == [None] * 2
    assert all(bias is encoder[0] for bias in encoder)
    assert all(bias is own[0] for bias in own)


@pytest.mark.parametrize(("inputs", "targets"), [(16, 16), (21, 11), (1, 1), (32, 9)])
@pytest.mark.parametrize("padded", [False, True])
def test_longer_rows_for_a_gpu_have_the_same_loss_and_gradients(inputs, targets, padded):
    """In float64, so that only what is seen can differ."""
    model, rows = TINY.build(seed=1).double(), batch(3, inputs, targets)
    if padded:
        rows["input_ids"][1, inputs // 2 + 1 :] = 0
    prepared = TINY.prepare(rows, 0)
    wide = t5_attention.widened(prepared, 0, 16)
    assert wide["input_ids"].shape[1] % 16 == wide[TARGETS].shape[1] % 16 == 0
    assert wide["input_ids"].shape[1] < inputs + 16
    found = []
    for given in (prepared, wide):
        loss = TINY.loss(model, given)
        found.append((loss.item(), torch.autograd.grad(loss, list(model.parameters()))))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)  # the loss itself is float32
    for one, two in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * max(1e-3, one.abs().max().item()))


def test_rows_of_the_right_length_stay_as_they_are():
    prepared = TINY.prepare(batch(3, 32, 16), 0)
    wide = t5_attention.widened(prepared, 0, 16)
    assert wide.keys() == prepared.keys()
    assert all(torch.equal(wide[name], prepared[name]) for name in prepared)


def test_masks_reach_attention_however_the_model_is_called():
    """With 2-D masks, with a cache, and while it writes."""
    model, rows = TINY.build(seed=1).eval(), batch(3, 20, 7)
    other = plain(model)
    rows["input_ids"][1, 12:] = 0
    given = {"input_ids": rows["input_ids"], "attention_mask": (rows["input_ids"] != 0).long()}
    logits = [one(**given, labels=rows["labels"]).logits for one in (model, other)]
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)
    written = [one.generate(**given, max_new_tokens=9, num_beams=2) for one in (model, other)]
    assert torch.equal(*written)


def test_what_is_saved_is_a_plain_t5(tmp_path):
    from transformers import AutoModelForSeq2SeqLM, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Attention, T5Stack

    model, rows = TINY.build(seed=1).eval(), batch(2, 20, 7)
    model.save_pretrained(tmp_path / "ours")
    plain(model).save_pretrained(tmp_path / "theirs")
    texts = [(tmp_path / name / "config.json").read_text() for name in ("ours", "theirs")]
    assert texts[0] == texts[1]
    assert "tamiz" not in texts[0]
    assert json.loads(texts[0])["architectures"] == ["T5ForConditionalGeneration"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("ours", "theirs")]
    assert weights[0] == weights[1]
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    assert type(loaded) is T5ForConditionalGeneration
    assert {type(m) for m in loaded.modules() if isinstance(m, T5Attention | T5Stack)} == {T5Attention, T5Stack}
    prepared = TINY.prepare(rows, 0)
    torch.testing.assert_close(full_logits(loaded, prepared), full_logits(model, prepared), rtol=1e-5, atol=1e-5)
