"""Published shapes have exactly their published parameters; fresh models know nothing; GPT-J's bounds."""

from __future__ import annotations

import math

import msgspec
import pytest
import torch

from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.base import num_parameters
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.vocabulary_rows import padded_rows, set_rows

pytestmark = pytest.mark.usefixtures("one_thread")

# layers of encoder and decoder, width, inner width of feed-forward, width of a head, heads -> parameters
# keras-team/keras-hub:keras_hub/src/models/t5/t5_presets.py; its 1.1 small and large leave out the output layer
OLD = {
    "t5-small": ((6, 6, 512, 2048, 64, 8), 60_506_624),
    "t5-base": ((12, 12, 768, 3072, 64, 12), 222_903_552),
    "t5-large": ((24, 24, 1024, 4096, 64, 16), 737_668_096),
}
NEW = {
    "1.1-small and flan-small": ((8, 8, 512, 1024, 64, 6), 76_961_152),
    "1.1-base and flan-base": ((12, 12, 768, 2048, 64, 12), 247_577_856),
    "1.1-large and flan-large": ((24, 24, 1024, 2816, 64, 16), 783_150_080),
    "1.1-xl": ((24, 24, 2048, 5120, 64, 32), 2_849_757_184),
    "1.1-xxl": ((24, 24, 4096, 10240, 64, 64), 11_135_332_352),
}
# google-research/byt5:byt5/gin/models: four layers of encoder for each of decoder, or three
BYTES = {
    "byt5-small": ((12, 4, 1472, 3584, 64, 6), 299_637_760),
    "byt5-base": ((18, 6, 1536, 3968, 64, 12), 581_653_248),
    "byt5-large": ((36, 12, 1536, 3840, 64, 16), 1_228_183_552),
}
NAMES = ("num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads")
NEWER = {"feed_forward": "gated-gelu", "tie_embeddings": False}


def t5(shape, vocab_size, **more):
    return T5(vocab_size=vocab_size, **dict(zip(NAMES, shape, strict=True)), **more)


SHAPES = [
    pytest.param(T5(vocab_size=5000), 7_176_896, id="t5-spanish-efficient-tiny"),
    *(pytest.param(t5(shape, 32128), count, id=name) for name, (shape, count) in OLD.items()),
    *(pytest.param(t5(shape, 32128, **NEWER), count, id=name) for name, (shape, count) in NEW.items()),
    *(pytest.param(t5(shape, 384, **NEWER), count, id=name) for name, (shape, count) in BYTES.items()),
    pytest.param(GptJ(vocab_size=50400), 6_050_882_784, id="bertin-gpt-j-6B"),
    pytest.param(Llama(vocab_size=32000), 162_417_408, id="TeenyTinyLlama-160m"),
    pytest.param(
        Llama(vocab_size=32000, hidden_size=1024, intermediate_size=4096, num_layers=24, num_heads=16),
        468_239_360,
        id="TeenyTinyLlama-460m",
    ),
]


@pytest.mark.parametrize(("family", "parameters"), SHAPES)
def test_published_shapes_have_their_parameters(family, parameters):
    assert family.num_parameters() == parameters


FRESH = [
    pytest.param(T5(vocab_size=2048, d_model=64, d_ff=64, d_kv=16), id="t5"),
    pytest.param(
        T5(vocab_size=2048, num_layers=1, num_decoder_layers=3, d_model=64, d_ff=64, d_kv=16, **NEWER), id="t5-1.1"
    ),
    pytest.param(
        Llama(vocab_size=2048, hidden_size=64, intermediate_size=64, num_layers=2, num_heads=4, document_masks=False),
        id="llama",
    ),
    pytest.param(
        GptJ(vocab_size=2048, hidden_size=64, num_layers=2, num_heads=2, rotary_dim=16, document_masks=False),
        id="gptj",
    ),
]


def batch_of(family, seed=0):
    ids = torch.randint(3, family.vocab_size, (4, 32), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids[:, :16].clone()}


@pytest.mark.parametrize("family", FRESH)
def test_a_fresh_model_knows_nothing(family):
    """Its loss is near that of equal probabilities, ln V: a T5 1.1 as transformers makes it has about 110. A tied T5
    first predicts the id that its decoder reads, from embeddings of norm sqrt(d_model), which costs about 1 nat."""
    model = family.build(seed=0).eval()
    prepared = family.prepare(batch_of(family), 0)
    targets = int((prepared["targets"] >= 0).sum())
    assert family.loss(model, prepared).item() / targets == pytest.approx(
        math.log(2048), abs=1.3 if family.family == "t5" and family.tie_embeddings else 0.8
    )


@pytest.mark.parametrize("family", FRESH)
def test_rows_beyond_the_vocabulary_change_nothing(family):
    """Loss, gradients and weights after an update; they stay 0, and the model without them is as if never padded."""
    rows = padded_rows(family.vocab_size, 1000)
    assert (rows, padded_rows(256, 128), padded_rows(257, 128), padded_rows(7, 1)) == (3000, 256, 384, 7)
    plain, padded = family.build(seed=0), family.build(seed=0)
    set_rows(padded, rows)
    assert padded.get_input_embeddings().weight.shape[0] == padded.get_output_embeddings().weight.shape[0] == rows
    prepared = family.prepare(batch_of(family), 0)
    for model in (plain, padded):
        # with a smaller eps, the rounding of a gradient near 0 would decide the sign of its step
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-4, weight_decay=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            loss = family.loss(model.eval(), prepared)
            loss.backward()
            optimizer.step()
    assert not padded.get_output_embeddings().weight[family.vocab_size :].any()
    set_rows(padded, family.vocab_size)
    assert num_parameters(padded) == family.num_parameters()
    for (name, a), b in zip(plain.named_parameters(), padded.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 65}, r"hidden_size is 65; it must be a multiple of num_heads \(2\)"),
        ({"rotary_dim": 34}, r"rotary_dim is 34; it must be even, at least 2 and at most .* \(32\)"),
        ({"rotary_dim": 7}, "rotary_dim is 7; it must be even"),
        ({"rotary_dim": 0}, "rotary_dim is 0"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"intermediate_size": 0}, "intermediate_size is 0"),
        ({"layer_norm_epsilon": 0.0}, "layer_norm_epsilon is 0.0; it must be above 0"),
        ({"initializer_range": 2.0}, "initializer_range is 2.0; it must be at most 1"),
    ],
)
def test_a_gptj_out_of_bounds_is_refused(settings, message):
    given = {"family": "gptj", "vocab_size": 64, "hidden_size": 64, "num_heads": 2, "rotary_dim": 16} | settings
    with pytest.raises(msgspec.ValidationError, match=message):
        FAMILIES.convert(given)
