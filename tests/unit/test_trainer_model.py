"""The model's shape, initialisation and loss, and what may be imported without torch."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import torch

from tamiz.trainer.families.base import num_parameters
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps, optimizer

pytestmark = pytest.mark.usefixtures("quick_plots")

TINY = T5(vocab_size=64, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1)


def test_the_published_shape_has_its_parameters():
    built = T5(vocab_size=5000).build(seed=0)
    assert num_parameters(built) == T5(vocab_size=5000).num_parameters() == 7_176_896
    config = built.config
    assert (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) == (0, 1, 0)
    assert (config.tie_word_embeddings, config.scale_decoder_outputs) == (True, True)
    assert built.lm_head.weight is built.shared.weight


def test_t5_small_has_its_parameters():
    """google-t5/t5-small: 60,506,624; google/t5-v1_1-small, gated and untied: 76,961,152."""
    small = T5(vocab_size=32128, num_layers=6, num_decoder_layers=6, d_model=512, d_ff=2048, num_heads=8)
    newer = T5(
        vocab_size=32128,
        num_layers=8,
        num_decoder_layers=8,
        d_model=512,
        d_ff=1024,
        num_heads=6,
        feed_forward="gated-gelu",
        tie_embeddings=False,
    )
    assert small.num_parameters() == 60_506_624
    assert newer.num_parameters() == 76_961_152
    with torch.device("meta"):
        built = newer.build(seed=0)
    assert not built.config.scale_decoder_outputs


def test_an_output_layer_of_its_own_survives_saving(tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    built = msgspec.structs.replace(TINY, tie_embeddings=False).build(seed=0).eval()
    built.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert not torch.equal(loaded.lm_head.weight, loaded.shared.weight)
    assert loaded.encoder.embed_tokens.weight is loaded.shared.weight
    assert loaded(**batch()).loss.item() == built(**batch()).loss.item()


def test_the_seed_decides_the_weights_and_nothing_else_does():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = TINY.build(seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    again, other = TINY.build(seed=1).state_dict(), TINY.build(seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["shared.weight"], other["shared.weight"])


def steps(**settings):
    chosen = TrainSettings(**{"steps": 10, "batch_size": 4, "learning_rate": 0.01} | settings)
    device = torch.device("cpu")
    micro_rows = chosen.micro_batch_size or 4
    return Steps(TINY.build(seed=0), TINY, chosen, device, micro_rows=micro_rows, bfloat16=False, pad_id=0)


def batch(seed=0):
    ids = torch.randint(3, 64, (4, 12), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids[:, :5].clone()}


def test_the_loss_is_transformers_own():
    one, data = steps(), batch()
    expected = one.model.eval()(**data).loss.item()
    assert one.validate([data]) == pytest.approx(expected, rel=1e-6)
    assert one.train(data, 0.01) == pytest.approx(expected, rel=1e-6)


def test_padding_is_neither_seen_nor_predicted():
    one, data = steps(), batch()
    padded = {
        "input_ids": torch.cat([data["input_ids"], torch.zeros(4, 3, dtype=torch.int64)], 1),
        "labels": torch.cat([data["labels"], torch.zeros(4, 2, dtype=torch.int64)], 1),
    }
    assert one.validate([padded]) == pytest.approx(one.validate([data]), rel=1e-5)


def test_micro_batches_weigh_targets_not_rows():
    data = batch()
    data["labels"][0, 2:] = 0
    whole, parts = steps(), steps(micro_batch_size=1)
    assert whole.train(data, 0.01) == pytest.approx(parts.train(data, 0.01), rel=1e-5)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_matrices_decay_and_norms_and_biases_do_not():
    built = TINY.build(seed=0)
    decayed, kept = optimizer(built, TINY, TrainSettings(steps=1, weight_decay=0.1)).param_groups
    names = {id(p): name for name, p in built.named_parameters()}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    kept_names = {names[id(p)] for p in kept["params"]}
    assert kept_names
    assert all("norm" in name or "relative_attention_bias" in name for name in kept_names)
    assert len(kept["params"]) + len(decayed["params"]) == len(names)
    assert any("shared" in names[id(p)] for p in decayed["params"])


def test_training_lowers_the_loss():
    one, data = steps(), batch()
    first = one.train(data, 0.01)
    for _ in range(30):
        last = one.train(data, 0.01)
    assert last < first - 1


def test_settings_and_the_package_import_neither_torch_nor_transformers():
    code = (
        "import sys, tamiz.trainer.settings, tamiz.trainer.families as families; list(families.FAMILIES); "
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
