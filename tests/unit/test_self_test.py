"""The test of attention kernels before a training on a GPU, on a CPU, with kernels that are planted wrong."""

from __future__ import annotations

import pytest
import torch

from corpora.errors import BadArgument
from tamiz.trainer import self_test
from tamiz.trainer.families import attention
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.ranks import Ranks, current
from tamiz.trainer.self_test import Signs, compared

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
FAMILIES = {
    "t5": T5(vocab_size=64, num_layers=4, num_decoder_layers=3, d_model=32, d_kv=8, num_heads=2, dropout=0.1),
    "llama": Llama(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_layers=4, num_heads=4, num_kv_heads=2,
        max_position_embeddings=128,
    ),
    "gptj": GptJ(
        vocab_size=64, hidden_size=32, num_layers=3, num_heads=2, rotary_dim=8, max_position_embeddings=128
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize("name", FAMILIES)


def batch(name, documents=True):
    source = torch.Generator().manual_seed(0)
    if name == "t5":
        return {
            "input_ids": torch.randint(3, 64, (4, 48), generator=source),
            "labels": torch.randint(3, 64, (4, 17), generator=source),
        }
    borders = (torch.rand(4, 65, generator=source) < 0.1) & documents
    return {
        "input_ids": torch.randint(3, 64, (4, 65), generator=source),
        "document_ids": borders.long().cumsum(1),
    }


def choose(name, *, bfloat16=False, ranks=None, rows=None):
    lines = []
    sample = self_test.sample_of(FAMILIES[name].build(seed=0))
    kernel = self_test.chosen(
        sample, FAMILIES[name], batch(name) if rows is None else rows, 0, CPU, bfloat16=bfloat16,
        ranks=ranks or current(), report=lines.append,
    )  # fmt: skip
    return kernel, lines


def plant(monkeypatch, kernels, harm):
    """Harms what kernels make."""

    def planted(right):
        def attend(*given, kernel=attention.NAME, **how):
            made = right(*given, kernel=kernel, **how)
            return harm(made) if kernel in kernels else made

        return attend

    for name in ("causal_attention", "biased_attention"):
        monkeypatch.setattr(attention, name, planted(getattr(attention, name)))


@EACH
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_fastest_kernel_is_right_on_a_cpu(name, bfloat16):
    kernel, [line] = choose(name, bfloat16=bfloat16)
    assert kernel == attention.NAME
    assert line.startswith(f"attention: {attention.KERNELS[attention.NAME]}; against float32, the ")


def too_large(made):
    return made * 1.1


def without_a_block(made):
    """As if the keys of a block were lost for its last queries."""
    return torch.cat([made[:, :, :-8], made[:, :, -8:] * 0.5], 2)


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, made):  # noqa: ARG004
        return made.clone()

    @staticmethod
    def backward(ctx, gradient):  # noqa: ARG004
        return gradient.roll(1, 2)


def not_a_number(made):
    return made + torch.where(torch.arange(made.shape[2]) == 3, torch.nan, 0.0)[:, None]


@EACH
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("harm", [too_large, without_a_block, WrongGradient.apply, not_a_number])
def test_a_wrong_kernel_is_not_used(monkeypatch, name, bfloat16, harm):
    plant(monkeypatch, {attention.NAME}, harm)
    kernel, lines = choose(name, bfloat16=bfloat16)
    assert kernel == attention.PLAIN
    assert len(lines) == 2
    assert lines[0].startswith(f"attention: {attention.KERNELS[attention.NAME]}: wrong here, the ")
    assert lines[0].endswith(f"; instead: {attention.KERNELS[attention.PLAIN]}")
    assert lines[1].startswith(f"attention: {attention.KERNELS[attention.PLAIN]}; against float32, the ")


def test_a_kernel_that_fails_is_not_used(monkeypatch):
    def fails(_made):
        raise RuntimeError("no kernel image is available\nCompile with TORCH_USE_CUDA_DSA")

    plant(monkeypatch, {attention.NAME, attention.PLAIN}, fails)
    kernel, lines = choose("llama")
    assert kernel == attention.PRODUCTS
    assert len(lines) == 3
    assert lines[0] == (
        f"attention: {attention.KERNELS[attention.NAME]}: fails here (RuntimeError: no kernel image is available); "
        f"instead: {attention.KERNELS[attention.PLAIN]}"
    )


def test_without_a_right_kernel_there_is_no_training(monkeypatch):
    plant(monkeypatch, set(attention.KERNELS), too_large)
    with pytest.raises(
        BadArgument, match=r"^no kernel of torch .* set train\.precision to float32 or set train\.dev"
    ):
        choose("gptj", bfloat16=True)


def test_only_masks_of_documents_can_be_wrong(monkeypatch):
    """They are tested even if the first batch has none. A kernel that is only wrong without them is found, too."""
    real = attention.mask_for
    monkeypatch.setattr(attention, "mask_for", lambda d, how: None if how == attention.NAME else real(d, how))
    for documents in (True, False):
        kernel, lines = choose("llama", rows=batch("llama", documents))
        assert kernel == attention.PLAIN
        assert "wrong here" in lines[0]
    monkeypatch.undo()
    right = attention.causal_attention

    def wrong_without(query, key, value, mask=None, *, kernel=attention.NAME, **how):
        made = right(query, key, value, mask, kernel=kernel, **how)
        return made * 1.1 if mask is None and kernel == attention.NAME else made

    monkeypatch.setattr(attention, "causal_attention", wrong_without)
    assert choose("llama")[0] == attention.PLAIN


def test_without_memory_for_the_reference_it_says_so(monkeypatch):
    def full(*_given, **_how):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(self_test, "_reference", full)
    kernel, [line] = choose("t5")
    assert kernel == attention.NAME
    assert "untested" in line


class OtherRank(Ranks):
    def most(self, *numbers):
        return tuple(max(1, number) for number in numbers)


def test_all_processes_use_the_kernel_of_the_one_that_needs_the_safest():
    kernel, lines = choose("llama", ranks=OtherRank())
    assert kernel == attention.PLAIN
    assert lines[-1] == f"attention: {attention.KERNELS[attention.PLAIN]}, as another process needs it"


@EACH
def test_the_sample_is_the_first_layers_and_the_model_stays_whole(name):
    model = FAMILIES[name].build(seed=0)
    before = list(model.state_dict())
    sample = self_test.sample_of(model)
    assert list(model.state_dict()) == before
    kept = sample.state_dict()
    assert 0 < len(kept) < len(before)
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in kept.items())
    assert not {p.data_ptr() for p in sample.parameters()} & {p.data_ptr() for p in model.parameters()}
    numbers = {key.split(".")[2] for key in kept if ".layers." in key or ".h." in key or ".block." in key}
    assert numbers == {"0", "1"}


def test_the_test_leaves_no_trace(monkeypatch):
    """Neither in random numbers nor in the model; the model then uses the kernel."""
    plant(monkeypatch, {attention.NAME}, too_large)
    family = FAMILIES["t5"]
    model = family.build(seed=0)
    sample = self_test.sample_of(model)
    weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state = torch.get_rng_state()

    class Data:
        def batch(self, epoch, step):
            assert (epoch, step) == (0, 0)
            return batch("t5")

    parallel = Parallel(model, family, current(), CPU)
    self_test.choose(sample, parallel, family, Data(), 0, CPU, bfloat16=False, report=lambda _line: None)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    for stack in (model, model.encoder, model.decoder):
        assert stack.config._attn_implementation == attention.PLAIN
    self_test.choose(None, parallel, family, Data(), 0, CPU, bfloat16=False, report=pytest.fail)


def test_a_model_with_another_attention_is_left_alone():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    assert self_test.sample_of(LlamaForCausalLM(config)) is None
    assert self_test.sample_of(torch.nn.Linear(2, 2)) is None


def signs(loss, *gradient):
    return Signs(loss, {"weight": torch.tensor(gradient)})


def test_the_bound():
    """Twice what transformers' attention is off, and the floor; of the loss a tenth of it."""
    exact, rounded = signs(10.0, 3.0, 4.0), signs(10.0, 3.0, 4.5)  # off by a tenth
    found = compared(signs(10.0, 3.0, 5.0), exact, rounded, 0.01)
    assert found.right
    assert (found.where, found.error, found.bound) == ("the gradient of weight", 0.2, pytest.approx(0.21))
    assert not compared(signs(10.0, 3.0, 5.06), exact, rounded, 0.01).right
    assert not compared(signs(10.0, 3.0, float("nan")), exact, rounded, 0.01).right
    wrong = compared(signs(10.02, 3.0, 4.0), exact, rounded, 0.01)
    assert (wrong.where, wrong.right) == ("the loss", False)
    assert compared(signs(10.009, 3.0, 4.0), exact, rounded, 0.01).right
    assert compared(signs(0.0, 0.0), signs(0.0, 0.0), signs(0.0, 0.0), 0.01).right


def test_large_gradients_are_sampled():
    rows = torch.arange(self_test.SAMPLE * 3.5).view(2, -1)
    found = self_test._sampled(rows)
    assert len(found) == -(-rows.numel() // 4)
    assert found[:3].tolist() == [0.0, 4.0, 8.0]
    assert torch.equal(self_test._sampled(rows[:, :10]), rows[:, :10].flatten())
