"""Cross-entropy of an output layer without its logits as a whole: they exist for one chunk of targets at a time.

The gradient is computed in the forward pass, while a chunk's logits are there, so that nothing of the size of the
logits is kept or computed twice. torch 2.13's `linear_cross_entropy` does the same, without z-loss; this one is the
same on every version of torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from tamiz.trainer.families.base import IGNORED

GPU_CHUNK = 8192  # targets; at 32,000 ids in bfloat16, 0.5 GB of logits, and matrices large enough for full speed
CPU_CHUNK_BYTES = 16 << 20  # of float32 logits; 1.6 times as fast as all at once, at 2,048 targets and 8,000 ids

_compiled: ContextVar[bool] = ContextVar("compiled", default=False)


@contextlib.contextmanager
def compiled_chunks(on: bool) -> Iterator[None]:
    """Within the block, what is done to the elements of a chunk is one compiled kernel."""
    token = _compiled.set(on)
    try:
        yield
    finally:
        _compiled.reset(token)


def chunked_cross_entropy(
    hidden: torch.Tensor,
    head: Any,
    targets: torch.Tensor,
    *,
    vocab_size: int,
    z_loss: float = 0.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """float32[]: equals `summed_cross_entropy` of the logits `head(hidden)[..., :vocab_size]`, and so do gradients.

    hidden: [b, n, d]. head: a linear layer of at least vocab_size rows, with a bias or without. targets: int64
    [b, n], IGNORED where there is nothing to predict. z_loss: as there. chunk: targets whose logits exist at once;
    None: by the device. The result can be differentiated once.
    """
    weight, bias = head.weight, head.bias
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden, weight, bias = hidden.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    flat, wanted = hidden.flatten(0, -2), targets.flatten()
    # chunks of equal widths, as far as they can be: each other width is compiled anew
    pieces = max(1, -(-len(flat) // (chunk or chunk_rows(device, vocab_size))))
    with torch.autocast(device, enabled=False):
        total: torch.Tensor = _Chunked.apply(
            flat, weight, bias, wanted, vocab_size, z_loss, -(-len(flat) // pieces), torch.is_grad_enabled()
        )
    return total


def chunk_rows(device: str, vocab_size: int) -> int:
    """Targets in a chunk: on a CPU, as many as leave their logits in its caches."""
    return GPU_CHUNK if device != "cpu" else max(1, CPU_CHUNK_BYTES // (4 * vocab_size))


class _Elements(NamedTuple):
    """What the logits of a chunk become. loss: float32[], its sum. error: [n, v], the gradient of the logits but for
    a factor of each row, in the type of the logits. factor: float32[n, 1]."""

    loss: torch.Tensor
    error: torch.Tensor
    factor: torch.Tensor


def _elements(logits: torch.Tensor, wanted: torch.Tensor, z_loss: float) -> _Elements:
    """logits: [n, v]; wanted: int64[n]. The gradient is softmax * (1 + 2 z log Z) - one-hot. The factor
    of a row is taken out of it, and is 0 for ignored rows: so it multiplies only what is as narrow as the model."""
    counts = wanted != IGNORED
    place = wanted.masked_fill(~counts, 0)[:, None]
    log_shares = functional.log_softmax(logits, -1, dtype=torch.float32)
    chosen = log_shares.gather(1, place)
    loss = -chosen.squeeze(1).masked_fill(~counts, 0.0).sum()
    factor = counts.to(torch.float32)[:, None]
    one = torch.ones_like(factor)
    if z_loss:
        more = 1.0 + 2.0 * z_loss * (logits.gather(1, place).float() - chosen)
        factor, one = factor * more, 1.0 / more
    error = log_shares.exp_().scatter_add_(1, place, -one)
    return _Elements(loss, error.to(logits.dtype), factor)


def _elements_to_compile(logits: torch.Tensor, wanted: torch.Tensor, z_loss: float) -> _Elements:
    """As `_elements`, written so that a compiler reads the logits twice and writes nothing of their size but the
    error: it has no fused kernel for what scatters."""
    counts = wanted != IGNORED
    place = wanted.masked_fill(~counts, 0)[:, None]
    whole = logits.float()
    normaliser = whole.logsumexp(-1, keepdim=True)
    loss = (normaliser - logits.gather(1, place).float()).squeeze(1).masked_fill(~counts, 0.0).sum()
    more = 1.0 + 2.0 * z_loss * normaliser
    is_target = torch.arange(logits.shape[1], device=logits.device) == place
    error = (whole - normaliser).exp() - torch.where(is_target, 1.0 / more, 0.0)
    return _Elements(loss, error.to(logits.dtype), counts.to(torch.float32)[:, None] * more)


@cache
def _compiled_elements() -> Callable[..., _Elements]:
    compiled: Callable[..., _Elements] = torch.compile(_elements_to_compile, dynamic=False)
    return compiled


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        wanted: torch.Tensor,
        rows: int,
        z_loss: float,
        chunk: int,
        differentiated: bool,
    ) -> torch.Tensor:
        elements = _compiled_elements() if _compiled.get() else _elements
        needs = [differentiated and needed for needed in ctx.needs_input_grad[:3]]
        used, used_bias = weight[:rows], None if bias is None else bias[:rows]
        gradients = _Gradients(hidden, weight, bias, rows, needs)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for begin in range(0, len(hidden), chunk):
            part = hidden[begin : begin + chunk]
            logits = functional.linear(part, used, used_bias)
            made = elements(logits, wanted[begin : begin + chunk], z_loss)
            del logits
            total += made.loss
            gradients.add(begin, part, made)
        ctx.gradients = gradients.whole() if any(needs) else (None, None, None)
        return total

    @staticmethod
    def backward(ctx: Any, outer: torch.Tensor) -> Any:
        found, ctx.gradients = ctx.gradients, None
        assert found is not None, "differentiated twice"
        return (*(None if each is None else each.mul_(outer) for each in found), None, None, None, None, None)


class _Gradients:
    """Of the hidden states, the weight and the bias: summed in float32 over chunks, in their own type at the end."""

    def __init__(
        self, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, rows: int, needs: list[bool]
    ) -> None:
        self._weight, self._rows = weight[:rows], rows
        self._type = weight.dtype
        self._of_hidden = torch.empty_like(hidden) if needs[0] else None
        self._of_weight = torch.zeros_like(weight, dtype=torch.float32) if needs[1] else None
        self._of_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and needs[2] else None

    def add(self, begin: int, part: torch.Tensor, made: _Elements) -> None:
        if self._of_hidden is not None:
            into = self._of_hidden[begin : begin + len(part)]
            torch.mm(made.error, self._weight, out=into).mul_(made.factor)
        if self._of_weight is not None:
            weighed = (part * made.factor).to(part.dtype)
            if part.dtype == torch.float32:
                self._of_weight[: self._rows].addmm_(made.error.t(), weighed)
            else:
                self._of_weight[: self._rows] += made.error.t() @ weighed
        if self._of_bias is not None:
            self._of_bias[: self._rows] += (made.error * made.factor).sum(0, dtype=torch.float32)

    def whole(self) -> tuple[torch.Tensor | None, ...]:
        of_weight, of_bias = self._of_weight, self._of_bias
        return (
            self._of_hidden,
            None if of_weight is None else of_weight.to(self._type),
            None if of_bias is None else of_bias.to(self._type),
        )
