"""The optimizers, against slow twins, transformers' and torch's own; what decays; and their settings."""

from __future__ import annotations

import math
import warnings
from functools import partial

import msgspec
import pytest
import torch

from corpora.errors import BadArgument
from tamiz.trainer.families import gptj
from tamiz.trainer.families.base import ModelSettings, summed_cross_entropy
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.optimizers.adafactor_torch import Adafactor
from tamiz.trainer.optimizers.adamwscale_torch import AdamWScale
from tamiz.trainer.optimizers.groups import parameter_groups
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps
from tests.reference.optimizers import AdafactorTwin, AdamWScaleTwin, matrix

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

SHAPES = [(6, 10), (3, 4), (8,)]
STEPS = 50


def parameters(shapes=SHAPES, size=0.3):
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(size * torch.randn(shape, generator=generator)) for shape in shapes]


def gradients(shapes=SHAPES):
    """One for each step; some rows are zero, as those of ids that aren't in a batch."""
    generator = torch.Generator().manual_seed(2)
    for step in range(STEPS):
        made = [torch.randn(shape, generator=generator) * 10.0 ** (step % 5 - 3) for shape in shapes]
        made[0][step % 6] = 0.0
        yield made


def run(optimizer, weights, rates=None, made=None):
    for step, grads in enumerate(made or gradients([tuple(p.shape) for p in weights])):
        for group in optimizer.param_groups:
            group["lr"] = rates(step + 1) if rates else group["lr"]
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad.clone()
        optimizer.step()
    return [weight.detach().clone() for weight in weights]


def inverse_sqrt(step):
    return 0.05 / math.sqrt(max(step, 10))


def worst(found, expected):
    """The largest difference, as a share of the largest weight."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adamwscale_is_its_twin(weight_decay):
    weights = parameters([(6, 10)])
    twin = AdamWScaleTwin(matrix(weights[0].detach()), betas=(0.9, 0.999), eps=1e-6, weight_decay=weight_decay)
    ours = AdamWScale(weights, lr=1.0, betas=(0.9, 0.999), eps=1e-6, weight_decay=weight_decay)
    for step, (grad,) in enumerate(gradients([(6, 10)])):
        twin.step(matrix(grad), inverse_sqrt(step + 1))
    (found,) = run(ours, weights, inverse_sqrt)
    assert worst([found], [torch.tensor(twin.weights)]) < 2e-6
    assert worst([found], [p.detach() for p in parameters([(6, 10)])]) > 0.05


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adafactor_is_its_twin(weight_decay):
    weights = parameters([(6, 10)])
    twin = AdafactorTwin(matrix(weights[0].detach()), weight_decay=weight_decay)
    ours = Adafactor(weights, lr=1.0, weight_decay=weight_decay, factor_from=2)
    for step, (grad,) in enumerate(gradients([(6, 10)])):
        twin.step(matrix(grad), inverse_sqrt(step + 1))
    (found,) = run(ours, weights, inverse_sqrt)
    assert worst([found], [torch.tensor(twin.weights)]) < 2e-6


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adafactor_is_transformers_own(weight_decay):
    """With its external rate, at T5's settings, over 50 steps: within 2e-6 of the largest weight."""
    from transformers import Adafactor as Theirs

    ours, theirs = parameters(), parameters()
    found = run(Adafactor(ours, lr=1.0, weight_decay=weight_decay, factor_from=2), ours, inverse_sqrt)
    other = Theirs(
        theirs, lr=1.0, eps=(1e-30, 1e-3), clip_threshold=1.0, decay_rate=-0.8, weight_decay=weight_decay,
        relative_step=False, scale_parameter=True, warmup_init=False,
    )  # fmt: skip
    assert worst(found, run(other, theirs, inverse_sqrt)) < 2e-6


def test_adafactor_on_t5s_schedule_is_transformers_relative_step():
    """Its relative step is min(1e-2, 1 / sqrt(step)): our inverse_sqrt with 10,000 steps of warmup, and no second
    decay."""
    from transformers import Adafactor as Theirs

    from tamiz.trainer.schedule import learning_rate

    settings = TrainSettings(steps=20_000, learning_rate=1e-2, warmup_steps=10_000)
    rates = [learning_rate(step, settings) for step in (1, 9999, 10_000, 12_100)]
    assert rates == pytest.approx([min(1e-2, 1 / math.sqrt(step)) for step in (1, 9999, 10_000, 12_100)], rel=1e-12)
    ours, theirs = parameters(), parameters()
    found = run(Adafactor(ours, lr=1.0, factor_from=2), ours, lambda step: learning_rate(step, settings))
    assert worst(found, run(Theirs(theirs, relative_step=True, scale_parameter=True), theirs)) < 2e-6


def test_adafactor_is_torchs_where_that_has_no_zero_gradients():
    """torch's computes min(lr, 1 / sqrt(step)), and bounds the denominator by epsilon squared: with T5's 1e-30 that
    is 0 in float32, so that a row without gradient becomes infinite. Ours doesn't."""
    shapes = [(6, 10), (8,)]
    generator = torch.Generator().manual_seed(3)
    made = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(STEPS)]
    ours, theirs = parameters(shapes), parameters(shapes)
    found = run(Adafactor(ours, lr=1.0, factor_from=2), ours, lambda _: 0.01, made)
    other = torch.optim.Adafactor(theirs, lr=0.01, eps=(1e-30, 1e-3), d=1.0, beta2_decay=-0.8)
    assert worst(found, run(other, theirs, None, made)) < 2e-6
    theirs = parameters()
    lost = run(torch.optim.Adafactor(theirs, lr=0.01, eps=(1e-30, 1e-3)), theirs, None, list(gradients()))
    assert not torch.isfinite(lost[0]).all()
    ours = parameters()
    assert all(torch.isfinite(weight).all() for weight in run(Adafactor(ours, lr=0.01, factor_from=2), ours))


def test_small_matrices_are_not_factored():
    weights = parameters([(128, 130), (127, 130), (130,)])
    run(optimizer := Adafactor(weights, lr=0.01), weights, None, [[torch.ones_like(w) for w in weights]])
    assert [sorted(optimizer.state[w]) for w in weights] == [
        ["columns", "rows", "step"], ["square", "step"], ["square", "step"],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Adafactor, AdamWScale])
def test_a_parameter_of_zeros_moves_and_the_rate_in_effect_is_said(kind):
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    settings = {"betas": (0.9, 0.999), "eps": 1e-8} if kind is AdamWScale else {}
    optimizer = kind([weight], lr=0.1, **settings)
    size = partial(OPTIMIZERS.get(kind.__name__.lower()).step_size, optimizer)
    assert size() is None
    weight.grad = torch.ones(4, 4)
    optimizer.step()
    assert torch.allclose(weight.detach(), torch.full((4, 4), -1e-4), rtol=1e-5)  # 0.1 * 1e-3
    assert size() == pytest.approx(1e-4)
    with torch.no_grad():
        weight.fill_(-2.0)
    optimizer.step()
    assert size() == pytest.approx(0.2)


T5_MODEL = T5(vocab_size=64, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1)
LLAMA = Llama(vocab_size=64, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=4, document_masks=False)
GPTJ = gptj.GptJ(vocab_size=64, hidden_size=16, num_layers=2, num_heads=2, rotary_dim=4, document_masks=False)


class Gpt2(ModelSettings, frozen=True, kw_only=True, tag="gpt2-of-the-test"):
    def new(self, *_):
        from transformers import GPT2Config, GPT2LMHeadModel

        return GPT2LMHeadModel(GPT2Config(vocab_size=self.vocab_size, n_embd=16, n_layer=1, n_head=2, n_positions=8))


class GptJ(ModelSettings, frozen=True, kw_only=True, tag="gptj-of-the-test"):
    def new(self, *_):
        from transformers import GPTJConfig, GPTJForCausalLM

        return GPTJForCausalLM(
            GPTJConfig(vocab_size=self.vocab_size, n_embd=16, n_layer=1, n_head=2, n_positions=8, rotary_dim=4)
        )


@pytest.mark.parametrize(
    ("family", "kept_matrices"),
    [(T5_MODEL, 2), (msgspec.structs.replace(T5_MODEL, tie_embeddings=False, feed_forward="gated-gelu"), 2),
     (LLAMA, 0), (Gpt2(vocab_size=64), 1), (GptJ(vocab_size=64), 0)],
    ids=["t5", "t5 1.1", "llama", "gpt2", "gptj"],
)  # fmt: skip
def test_what_decays_is_known_by_its_module(family, kept_matrices):
    """T5's two tables of relative distances and GPT-2's of positions are matrices that don't decay; vectors don't."""
    model = family.build(seed=0)
    decayed, kept = parameter_groups(model, family, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim == 2 for p in decayed["params"])
    matrices = [p for p in kept["params"] if p.ndim >= 2]
    assert len(matrices) == kept_matrices
    assert all(len(p) != family.vocab_size for p in matrices)
    ids = {id(p) for p in decayed["params"]}
    assert id(model.get_input_embeddings().weight) in ids
    assert id(model.get_output_embeddings().weight) in ids
    vectors = [p for p in model.parameters() if p.ndim < 2]
    assert vectors
    assert not ids & {id(p) for p in vectors}
    both = [*decayed["params"], *kept["params"]]
    assert sorted(map(id, both)) == sorted(id(p) for p in model.parameters())  # each once, tied ones too


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of adamw, adafactor, adamwscale"),
        ({"optimizer": "adafactor", "betas": (0.9, 0.98)}, "betas does not apply to the optimizer adafactor"),
        ({"optimizer": "adafactor", "epsilon": 1e-6}, "epsilon does not apply to the optimizer adafactor"),
        ({"z_loss": -1.0}, "z_loss is -1.0; it must be at least 0 and below 1"),
        ({"z_loss": math.nan}, "z_loss is nan"),
        ({"max_skipped_steps": -1}, "max_skipped_steps is -1; it must be at least 0"),
        ({"country": "Brazil"}, "country is 'Brazil'; it must be three capital letters"),
        ({"ramp_from": 1.0, "ramp_steps": 2}, "ramp_from is 1.0; it must be at least 0 and below 1"),
        ({"ramp_from": 0.5}, "ramp_from is 0.5, but ramp_steps is 0"),
        ({"schedule": "cosine", "final_learning_rate": 1.0}, r"final_learning_rate is 1.0; .* \(0.003\)"),
        ({"final_learning_rate": 1e-5}, "final_learning_rate is for the schedules linear and cosine, not inv"),
        ({"schedule": "constant", "schedule_steps": 500}, "schedule_steps is for the schedules linear and cosine"),
        ({"schedule": "linear", "schedule_steps": 100}, r"schedule_steps is 100; it must be more .* \(100\)"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert({"steps": 1, **settings}, TrainSettings)


def test_new_settings_leave_old_identities_alone():
    old = TrainSettings(steps=7).identity()
    assert not old.keys() & {"optimizer", "z_loss", "ramp_from", "final_learning_rate", "schedule_steps"}
    new = TrainSettings(steps=7, optimizer="adafactor", z_loss=1e-4, country="BRA", max_skipped_steps=9).identity()
    assert new == old | {"optimizer": "adafactor", "z_loss": 1e-4}


# the whole step, against a plain float32 loop


def steps(family, **settings):
    chosen = TrainSettings(**{"steps": 10, "batch_size": 4, "learning_rate": 0.01} | settings)
    rows = chosen.micro_batch_size or 4
    return Steps(family.build(seed=0), family, chosen, torch.device("cpu"), micro_rows=rows, bfloat16=False, pad_id=0)


def batch(family, seed=0):
    ids = torch.randint(3, 64, (4, 12), generator=torch.Generator().manual_seed(seed))
    if family.family != "t5":
        return {"input_ids": ids}
    labels = ids[:, :5].clone()
    labels[0, 3:] = 0  # padding
    return {"input_ids": ids, "labels": labels}


def plain_loss(model, family, data, z_loss):
    """Mean cross-entropy, and the z-loss, as transformers' own forward pass and a loop over targets give them."""
    if family.family == "t5":
        labels = data["labels"].masked_fill(data["labels"] == 0, -100)
        logits = model(input_ids=data["input_ids"], labels=labels).logits
        targets = labels
    else:
        logits, targets = model(input_ids=data["input_ids"]).logits[:, :-1], data["input_ids"][:, 1:]
    total, added, count = 0.0, 0.0, 0
    for every, marked in zip(logits, targets, strict=True):
        row, wanted = every[marked != -100], marked[marked != -100]
        sums = row.exp().sum(1).log()
        total = total + (sums - row[torch.arange(len(wanted)), wanted]).sum()
        added, count = added + z_loss * (sums**2).sum(), count + len(wanted)
    return total / count, added / count


@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
@pytest.mark.parametrize("family", [T5_MODEL, LLAMA], ids=["t5", "llama"])
def test_the_gradient_is_a_plain_loops(family, z_loss):
    data, ours = batch(family), steps(family, micro_batch_size=1, z_loss=z_loss, clip_norm=1e9)
    plain = family.build(seed=0)
    loss, added = plain_loss(plain, family, data, z_loss)
    (loss + added).backward()
    caught = {}
    ours.optimizer.step = lambda: caught.update({n: p.grad.clone() for n, p in ours.model.named_parameters()})
    assert ours.train(data, 0.01) == pytest.approx(loss.item(), rel=1e-6)  # without the z-loss
    for name, parameter in plain.named_parameters():
        assert torch.allclose(caught[name], parameter.grad, rtol=1e-3, atol=2e-6), name


def test_the_z_loss_of_ignored_targets_is_nothing():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.tensor([[1, -100, 2], [-100, 0, 4]])
    summed_cross_entropy(logits, targets, 0.1).backward()
    assert not logits.grad[0, 1].any()
    assert not logits.grad[1, 0].any()
    kept = logits.grad[0, 0]
    softmax = logits[0, 0].softmax(-1)
    expected = softmax - torch.eye(5)[1] + 0.2 * logits[0, 0].logsumexp(-1) * softmax
    assert torch.allclose(kept, expected, atol=1e-6)


PLAIN = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, foreach=False),
    "adafactor": lambda groups: _theirs(groups),
    "adamwscale": lambda groups: _Twins(groups),
}


def _theirs(groups):
    from transformers import Adafactor as Theirs

    return Theirs(groups, lr=0.01, relative_step=False, scale_parameter=True, warmup_init=False)


class _Twins:
    """nanoT5's AdamWScale, a twin for each parameter."""

    def __init__(self, groups):
        self._all = [(p, group["weight_decay"]) for group in groups for p in group["params"]]
        self._twins = [
            AdamWScaleTwin(matrix(p.detach().reshape(len(p), -1)), betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
            for p, decay in self._all
        ]

    def zero_grad(self):
        for parameter, _ in self._all:
            parameter.grad = None

    def step(self):
        for (parameter, _), twin in zip(self._all, self._twins, strict=True):
            twin.step(matrix(parameter.grad.reshape(len(parameter), -1)), 0.01)
            with torch.no_grad():
                parameter.copy_(torch.tensor(twin.weights).reshape(parameter.shape))


@pytest.mark.parametrize("name", OPTIMIZERS.names())
@pytest.mark.parametrize("family", [T5_MODEL, LLAMA, GPTJ], ids=["t5", "llama", "gptj"])
def test_losses_are_those_of_a_plain_loop(family, name):
    """Six steps with decay and clipping, in two micro-batches: losses within 1e-4 nats of a loop without any of our
    code but the family's module."""
    ours = steps(family, optimizer=name, weight_decay=0.1, micro_batch_size=2)
    ours.optimizer._factor_from = 2  # as transformers' Adafactor, which factors the smallest matrices, too
    plain = family.build(seed=0)
    tables = {id(m.weight) for m in plain.modules() if isinstance(m, torch.nn.Embedding) and len(m.weight) != 64}
    decays = [p.ndim == 2 and id(p) not in tables for p in plain.parameters()]
    groups = [
        {"params": [p for p, d in zip(plain.parameters(), decays, strict=True) if d is wanted],
         "weight_decay": 0.1 if wanted else 0.0}
        for wanted in (True, False)
    ]  # fmt: skip
    optimizer, found, expected = PLAIN[name](groups), [], []
    plain.train()
    for step in range(6):
        data = batch(family, step % 2)
        found.append(ours.train(data, 0.01))
        optimizer.zero_grad()
        loss, _ = plain_loss(plain, family, data, 0.0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        expected.append(loss.item())
    assert found == pytest.approx(expected, abs=1e-4)
    assert abs(found[0] - found[-2]) > 0.01  # it trains


def test_a_family_without_z_loss_refuses_it():
    class Old(Llama, frozen=True, kw_only=True, tag="llama-of-the-test"):
        def loss(self, model, prepared):
            return super().loss(model, prepared)

    old = Old(**{name: getattr(LLAMA, name) for name in Llama.__struct_fields__})
    assert steps(old).train(batch(old), 0.01) > 0
    with pytest.raises(BadArgument, match=r"model\.family llama-of-the-test has no z-loss: remove train\.z_loss"):
        steps(old, z_loss=1e-4)


def test_optimizers_import_no_torch():
    assert [one.name for one in OPTIMIZERS] == ["adamw", "adafactor", "adamwscale"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_gpu_gives_the_weights_of_a_cpu(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = {}
        for device in ("cpu", "cuda"):
            weights = [torch.nn.Parameter(p.detach().to(device)) for p in parameters()]
            groups = [{"params": weights, "weight_decay": 0.1}]
            optimizer = OPTIMIZERS.get(name).build(groups, TrainSettings(steps=1), torch.device(device))
            grads = [[g.to(device) for g in some] for some in gradients()]
            made[device] = [w.cpu() for w in run(optimizer, weights, inverse_sqrt, grads)]
        assert worst(made["cuda"], made["cpu"]) < 1e-4
