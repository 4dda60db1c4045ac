"""Tests attention on a GPU before it trains: fused kernels have been wrong without an error, and so are skipped here.

Two layers of the model, on rows of the first batch, in the precision of the training: loss and gradients must be as
near to those of float32 as those of transformers' own attention, give or take what rounding does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from corpora.errors import BadArgument
from corpora.rows.columns import DOCUMENT_IDS
from tamiz.trainer.dataset import Batch, ShardDataset
from tamiz.trainer.families import attention
from tamiz.trainer.families.base import INPUT_MASK, ModelSettings
from tamiz.trainer.families.cpu_attention import whole_float32
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.ranks import Ranks

LAYERS = 2  # of each stack; what they share is then tested, too
ROWS = 2
SAMPLE = 65_536  # most numbers of a parameter's gradient that are compared
FACTOR = 2.0
FLOORS = {torch.bfloat16: 0.01, torch.float32: 0.002}  # about half a last bit of bfloat16; two of TF32's
"""A kernel is right if no error is above FACTOR times that of transformers' attention in the same precision, plus the
floor; for the loss, whose errors cancel, plus a tenth of it. The error of a tensor is the norm of its difference from
float32's, as a share of the norm of the latter. Kernels that are right had up to 1.2 times the error of transformers'
(three families, bfloat16 on a CPU); one that loses a border, a bias or a block of keys is wrong by far more."""


class Signs(NamedTuple):
    """What a kernel makes of some rows: the loss, and numbers of the gradient of each parameter, on the CPU."""

    loss: float
    gradients: dict[str, torch.Tensor]


class Verdict(NamedTuple):
    """Where a kernel is the furthest above its bound, or the least below: its error there, and the bound."""

    where: str
    error: float
    bound: float

    @property
    def right(self) -> bool:
        """False also if the error isn't a number."""
        return self.error <= self.bound


def sample_of(model: torch.nn.Module) -> torch.nn.Module | None:
    """A copy of a model on the CPU with the first layers only; None if its attention isn't ours."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", None) != attention.NAME:
        return None
    lists = list(_outermost_lists(model))
    kept = [blocks._modules for blocks in lists]
    try:
        for blocks in lists:
            blocks._modules = dict(list(blocks._modules.items())[:LAYERS])
        return copy.deepcopy(model)
    finally:
        for blocks, whole in zip(lists, kept, strict=True):
            blocks._modules = whole


def choose(
    sample: torch.nn.Module | None,
    parallel: Parallel,
    family: ModelSettings,
    data: ShardDataset,
    pad_id: int,
    device: torch.device,
    *,
    bfloat16: bool,
    report: Callable[[str], None],
) -> None:
    """Makes a model, of which `sample` is the sample, use the kernel that `chosen` finds with the first batch."""
    if sample is None:
        return
    ranks = parallel.ranks
    batch = ranks.together(lambda: data.batch(0, 0))
    kernel = chosen(sample, family, batch, pad_id, device, bfloat16=bfloat16, ranks=ranks, report=report)
    attention.use(parallel.used, kernel)


def chosen(
    sample: torch.nn.Module,
    family: ModelSettings,
    batch: Batch,
    pad_id: int,
    device: torch.device,
    *,
    bfloat16: bool,
    ranks: Ranks,
    report: Callable[[str], None],
) -> str:
    """The first kernel of attention.KERNELS that is right here, the same in all processes. Says what was found.

    sample: see `sample_of`; batch: of this process. Raises BadArgument if no kernel is right.
    """
    sample = sample.to(device).eval()  # without dropout, which no two kernels draw alike
    kinds = [{name: rows.to(device) for name, rows in kind.items()} for kind in _kinds(family, batch, pad_id)]
    names = list(attention.KERNELS)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            bounds = [_reference(sample, family, kind, bfloat16=bfloat16) for kind in kinds]
        except torch.OutOfMemoryError:
            report(f"attention: {attention.KERNELS[names[0]]}; untested, since float32's doesn't fit into memory")
            bounds = []
        number, lines = _first_right(sample, family, list(zip(kinds, bounds, strict=False)), bfloat16=bfloat16)
    own, (number,) = number, ranks.most(number)
    for line in lines:
        report(line)
    if device.type == "cuda":  # a training's peak of memory is its own
        sample.cpu()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    if own < number < len(names):
        report(f"attention: {attention.KERNELS[names[number]]}, as another process needs it")
    if number == len(names):
        raise BadArgument(
            f"no kernel of torch {torch.__version__} computes attention right on this machine: update torch, or "
            f"{'set train.precision to float32 or ' if bfloat16 else ''}set train.device to cpu"
        )
    return names[number]


def compared(found: Signs, exact: Signs, rounded: Signs, floor: float) -> Verdict:
    """Judges a kernel. exact: transformers' attention in float32; rounded: in the precision of the training."""
    whole = torch.stack([gradient.norm() for gradient in exact.gradients.values()]).norm().item()
    losses = [torch.tensor([signs.loss]) for signs in (found, exact, rounded)]
    verdicts = [_verdict("the loss", losses, floor / 10, 0.0)]
    for name, wanted in exact.gradients.items():
        # what is next to nothing may be all rounding: the keys' gradient of a model that looks everywhere alike
        least = 1e-6 * whole
        gradients = found.gradients[name], wanted, rounded.gradients[name]
        verdicts.append(_verdict(f"the gradient of {name}", gradients, floor, least))
    return max(verdicts, key=lambda verdict: float("inf") if not verdict.right else verdict.error / verdict.bound)


def _verdict(where: str, signs: Sequence[torch.Tensor], floor: float, least: float) -> Verdict:
    found, exact, rounded = signs
    size = max(exact.norm().item(), least, torch.finfo(torch.float32).tiny)
    error, usual = ((tensor - exact).norm().item() / size for tensor in (found, rounded))
    return Verdict(where, error, FACTOR * usual + floor)


def _first_right(
    sample: torch.nn.Module,
    family: ModelSettings,
    cases: list[tuple[Batch, tuple[Signs, Signs]]],
    *,
    bfloat16: bool,
) -> tuple[int, list[str]]:
    """The number of the first kernel that is right in all cases, or how many there are; and what to say."""
    lines = []
    said = list(attention.KERNELS.values())
    floor = FLOORS[torch.bfloat16 if bfloat16 else torch.float32]
    for number, kernel in enumerate(attention.KERNELS):
        instead = f"; instead: {said[number + 1]}" if number + 1 < len(said) else ""
        try:
            signs = [_signs(sample, family, rows, kernel, bfloat16=bfloat16) for rows, _ in cases]
        except Exception as error:  # a kernel's compiler raises errors of its own
            lines.append(f"attention: {said[number]}: fails here ({_first_line(error)}){instead}")
            continue
        verdicts = [compared(found, *bounds, floor) for found, (_, bounds) in zip(signs, cases, strict=True)]
        wrong = [verdict for verdict in verdicts if not verdict.right]
        if not wrong:
            return number, [*lines, *_praise(said[number], verdicts)]
        off = f"{wrong[0].where} by {wrong[0].error:.2%} (bound {wrong[0].bound:.2%})"
        lines.append(f"attention: {said[number]}: wrong here, {off}{instead}")
    return len(said), lines


def _praise(kernel: str, verdicts: list[Verdict]) -> list[str]:
    if not verdicts:
        return []
    where, error, bound = max(verdicts, key=lambda verdict: verdict.error / verdict.bound)
    return [f"attention: {kernel}; against float32, {where} is off by {error:.2%} (bound {bound:.2%})"]


def _reference(sample: torch.nn.Module, family: ModelSettings, rows: Batch, *, bfloat16: bool) -> tuple[Signs, Signs]:
    """transformers' own attention: in float32, and in the precision of the training."""
    with whole_float32():
        exact = _signs(sample, family, rows, attention.EAGER, bfloat16=False)
    return exact, _signs(sample, family, rows, attention.EAGER, bfloat16=bfloat16)


def _signs(model: torch.nn.Module, family: ModelSettings, rows: Batch, kernel: str, *, bfloat16: bool) -> Signs:
    attention.use(model, kernel)
    named = dict(model.named_parameters())
    device = next(iter(named.values())).device.type
    with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
        loss = family.loss(model, rows)
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    found = {name: _sampled(g) for name, g in zip(named, gradients, strict=True) if g is not None}
    return Signs(loss.item(), found)


def _sampled(gradient: torch.Tensor) -> torch.Tensor:
    flat = gradient.detach().flatten()
    return flat[:: -(-flat.numel() // SAMPLE)].float().cpu()


def _kinds(family: ModelSettings, batch: Batch, pad_id: int) -> Iterator[Batch]:
    """A few rows as the model gets them, and, where masks depend on the rows, the same without masks."""
    prepared = family.prepare(batch, pad_id)
    if family.reads_documents and DOCUMENT_IDS not in prepared:
        ids = prepared["input_ids"]
        borders = torch.arange(ids.shape[1]) >= ids.shape[1] // 3
        prepared = {**prepared, DOCUMENT_IDS: borders.long().expand_as(ids)}
    documents = prepared.get(DOCUMENT_IDS)
    many = torch.arange(len(prepared["input_ids"]))
    if documents is not None:
        many = (documents[:, 1:] != documents[:, :-1]).sum(1).argsort(descending=True, stable=True)
    rows = {name: tensor[many[:ROWS]] for name, tensor in prepared.items()}
    yield rows
    masks = [name for name in rows if name in (DOCUMENT_IDS, INPUT_MASK)]
    if masks:
        yield {name: tensor for name, tensor in rows.items() if name not in masks}


def _outermost_lists(model: torch.nn.Module) -> Iterator[torch.nn.ModuleList]:
    for child in model.children():
        if isinstance(child, torch.nn.ModuleList):
            yield child
        else:
            yield from _outermost_lists(child)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
