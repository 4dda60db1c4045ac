"""benchmarks.train: its formulas against hand-computed values, the same rows, weights and losses for both trainers,
and what its clock leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.train_figures import checked
from benchmarks.train_formulas import FORMULAS, HONEST, TORCHTITAN, flops_per_token, utilisations
from benchmarks.train_kernels import attention_kinds
from benchmarks.train_peer import IGNORED, Rows, peer_model
from benchmarks.train_rows import EOS, make_rows, make_tokenizer
from benchmarks.train_shapes import (
    GPTJ_6B,
    LLAMA_160M,
    LLAMA_460M,
    LLAMA_SMALLEST,
    PLAIN,
    T5_BASE,
    T5_SMALLEST,
    T5_TINY,
    TRANSFORMERS,
    Block,
)
from benchmarks.train_timing import Stopwatch
from benchmarks.train_worker import measure, settings_of
from corpora.errors import TamizError
from tamiz.trainer.cost import SIX_N, WITH_ATTENTION
from tamiz.trainer.dataset import ShardDataset
from tamiz.trainer.families import FAMILIES

CPU = torch.device("cpu")
DOCUMENTS = replace(LLAMA_SMALLEST, documents=3)
FLOAT32 = {"precision": "float32"}
BLOCK = Block(LLAMA_SMALLEST, batch=4, micro=2, steps=5, warm_up=1, more=FLOAT32, losses=True)


def family_of(shape):
    return FAMILIES.convert({"family": shape.family, **shape.model})


# formulas


@pytest.mark.parametrize(
    ("shape", "millions"),
    [
        (LLAMA_160M, (1201.0, 974.5, 1053.5, 940.3)),  # 162,417,408 parameters, 24,576,000 of them in the table
        (LLAMA_460M, (3413, 2809, 3217, 2915)),
    ],
)
def test_operations_of_published_shapes(shape, millions):
    """../shared/reference/training.md C1, to the digits it has."""
    found = flops_per_token(family_of(shape), shape.width, 0)
    for name, expected in zip(FORMULAS, millions, strict=True):
        assert found[name] / 1e6 == pytest.approx(expected, abs=0.06 if expected < 2000 else 0.6), name


def test_half_of_an_h200_in_tokens():
    found = flops_per_token(family_of(LLAMA_160M), 2048, 0)
    assert utilisations(found, 411_900, 989.4e12)[WITH_ATTENTION] == pytest.approx(0.5, abs=1e-4)
    assert utilisations(found, 507_600, 989.4e12)[SIX_N] == pytest.approx(0.5, abs=1e-4)


def test_documents_have_fewer_pairs():
    whole, parted = (flops_per_token(family_of(LLAMA_160M), 2048, 0, documents) for documents in (1, 8))
    attention = 12 * 12 * 768 * 2048
    assert {name: whole[name] - parted[name] for name in FORMULAS} == {
        **dict.fromkeys(FORMULAS, 0.0),
        HONEST: pytest.approx(attention / 2 * (1 - 1 / 8)),
    }


def test_a_tied_table_is_an_output_layer_as_well():
    shape = replace(LLAMA_SMALLEST, model={**LLAMA_SMALLEST.model, "tie_embeddings": True})
    found = flops_per_token(family_of(shape), 32, 0)
    assert found[TORCHTITAN] == found[WITH_ATTENTION]
    apart = flops_per_token(family_of(LLAMA_SMALLEST), 32, 0)
    assert apart[WITH_ATTENTION] - apart[TORCHTITAN] == 6 * 64 * 16
    assert found[SIX_N] == apart[SIX_N] - 6 * 64 * 16


def test_operations_of_a_t5():
    """training.md C2: 16.2 billion for a row of the Spanish one, 54 trillion for nanoT5's step. Of these are the keys
    and values that a decoder makes of the inputs; `cost` counts all of a decoder for the targets."""
    tiny = flops_per_token(family_of(T5_TINY), 512, 114)
    base = flops_per_token(family_of(T5_BASE), 512, 114)
    crossing = 6 * 3 * 2 * 320 * 256 * (512 - 114), 6 * 12 * 2 * 768 * 768 * (512 - 114)
    assert (tiny[WITH_ATTENTION] * 626 + crossing[0]) / 1e9 == pytest.approx(16.2, abs=0.05)
    assert (base[WITH_ATTENTION] * 626 + crossing[1]) * 128 / 1e12 == pytest.approx(54, abs=0.6)
    own = 12 * 12 * 64 * 12 * 114 * 114 / 2  # half of the decoder's own pairs
    assert (base[HONEST] - base[WITH_ATTENTION]) * 626 == pytest.approx(crossing[1] - own)


# rows and weights


@pytest.fixture
def shards(tmp_path):
    def made(shape, rows=16):
        vocabulary = shape.model["vocab_size"]
        tokenizer = make_tokenizer(tmp_path / "tokenizer", vocabulary)
        return make_rows(tmp_path / f"shards-{shape.documents}-{shape.targets}", tokenizer, shape, vocabulary, rows)

    return made


def test_rows_have_as_many_documents_as_asked_for(shards):
    data = ShardDataset(shards(DOCUMENTS), batch_size=4, with_documents=True)
    batch = data.batch(0, 0)
    assert batch["input_ids"].shape == (4, 32)
    assert [len(row.unique()) for row in batch["document_ids"]] == [3] * 4
    for ids, documents in zip(batch["input_ids"], batch["document_ids"], strict=True):
        ends = [n for n in range(32) if n == 31 or documents[n] != documents[n + 1]]
        assert (ids == EOS).nonzero().flatten().tolist() == ends


@pytest.mark.parametrize("shape", [LLAMA_SMALLEST, DOCUMENTS, T5_SMALLEST])
def test_both_trainers_read_the_same_rows(shape, shards):
    block = replace(BLOCK, shape=shape)
    family, settings = settings_of(block)
    folder = shards(shape)
    theirs = list(Rows(folder, block, family, settings))
    data = ShardDataset(folder, batch_size=4, seed=settings.seed, with_documents=family.reads_documents)
    ours = iter(data)
    for step in range(block.steps):
        prepared = family.prepare(next(ours), 0)
        for number, ids in enumerate(prepared["input_ids"]):
            row = theirs[4 * step + number]
            assert torch.equal(row["input_ids"], ids)
            predicted = row["labels"] if shape.targets else torch.cat([row["labels"][1:], torch.tensor([IGNORED])])
            assert torch.equal(predicted, prepared["targets"][number])
    assert len(theirs) == 4 * block.steps


UNTIED = replace(T5_SMALLEST, model={**T5_SMALLEST.model, "tie_embeddings": False, "feed_forward": "gated-gelu"})
GPTJ = replace(GPTJ_6B, model={"num_layers": 1, "hidden_size": 32, "num_heads": 2, "rotary_dim": 8, "vocab_size": 64})


@pytest.mark.parametrize("shape", [LLAMA_SMALLEST, T5_SMALLEST, UNTIED, GPTJ])
def test_both_begin_with_the_same_weights(shape):
    family = family_of(shape)
    ours, theirs = family.build(seed=0), peer_model(family, 0)
    assert type(theirs).__module__.startswith("transformers.")
    assert theirs.config._attn_implementation in ("sdpa", "eager")
    expected = ours.state_dict()
    assert theirs.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("shape", [LLAMA_SMALLEST, DOCUMENTS, T5_SMALLEST])
def test_both_have_the_same_losses(shape, capsys):  # noqa: ARG001 (the trainers print)
    """In float32 on a CPU: sums in another order, over five updates."""
    block = replace(BLOCK, shape=shape)
    ours, theirs = measure(block), measure(replace(block, who=TRANSFORMERS))
    plain = checked(block, ours, measure(replace(block, who=PLAIN)))
    assert len(ours["timing"]["losses"]) == 5
    assert ours["timing"]["losses"] == pytest.approx(theirs["timing"]["losses"], rel=1e-4)
    assert "problem" not in plain
    assert plain["difference"] < 1e-4
    assert ours["timing"]["waiting"] is not None


# times


def test_a_stopwatch_looks_at_the_steps_between():
    watch = Stopwatch(CPU, 2, 5)
    assert list(watch.batches(iter([1, 2, 3]))) == [1, 2, 3]
    for _ in range(4):
        watch.step()
    with pytest.raises(TamizError, match="the training ended after 4 of 5 steps"):
        watch.timing()
    for _ in range(3):
        watch.step()
    timing = watch.timing()
    assert len(timing.seconds) == 3
    assert timing.wall >= sum(timing.seconds) > 0
    assert timing.waiting >= 0
    assert timing.peak_memory > 1 << 20


def test_the_watched_batches_close_what_gives_them():
    """As a training that is stopped closes its dataset, whose thread then ends."""
    closed = []

    def given():
        try:
            yield from range(9)
        finally:
            closed.append(True)

    batches = Stopwatch(CPU, 1, 2).batches(given())
    assert next(batches) == 0
    assert not closed
    batches.close()
    assert closed


def test_a_trainer_whose_batches_arent_seen_has_no_waiting():
    watch = Stopwatch(CPU, 1, 2)
    watch.step()
    watch.step()
    assert watch.timing().waiting is None


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["aten::mm", "void softmax_warp_forward"], set()),
        (["cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7"], {"cudnn"}),
        (["aten::_scaled_dot_product_cudnn_attention"], {"cudnn"}),
        (["void pytorch_flash::flash_fwd_kernel<...>", "aten::_scaled_dot_product_flash_attention"], {"flash"}),
        (["aten::_scaled_dot_product_flash_attention_for_cpu"], {"flash"}),
        (["fmha_cutlassF_bf16_aligned_64x64_rf_sm80"], {"efficient"}),
        (["triton_tem_fused_flex_attention_0", "triton_poi_fused_add_1"], {"flex"}),
    ],
)
def test_kernels_are_known_by_their_names(names, kinds):
    assert attention_kinds(names) == kinds
