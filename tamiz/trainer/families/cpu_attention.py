"""torch's fused attention on a CPU, computed in whole float32 also where other products are rounded to bfloat16.

Where torch may multiply with a CPU's units for bfloat16 (`torch.set_float32_matmul_precision("medium")`), its flash
attention rounds each of its many small blocks anew, which takes longer than it saves: documents of 150 ids took 3.5
times as long (heads of width 32, Xeon with AMX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional


def fused(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    dropout: float = 0.0,
    causal: bool = False,
    scaling: float | None = None,
) -> torch.Tensor:
    """As scaled_dot_product_attention, with or without groups of queries. mask: bool, or numbers that are added."""
    groups = query.shape[1] // key.shape[1]
    if dropout or (mask is not None and mask.requires_grad) or not _rounded(query):
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, causal, scale=scaling, enable_gqa=groups > 1
        )
    if groups > 1:
        key, value = (tensor.repeat_interleave(groups, 1) for tensor in (key, value))
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        mask = mask.expand(-1, -1, query.shape[2], key.shape[2])
    made: torch.Tensor = _Flash.apply(query, key, value, mask, causal, scaling)
    return made


def _rounded(query: torch.Tensor) -> bool:
    """Whether products of these queries are rounded, by the setting of all products. While torch compiles, it is left
    to it."""
    if query.dtype != torch.float32 or torch.compiler.is_compiling():
        return False
    return not torch.is_autocast_enabled("cpu") and torch.get_float32_matmul_precision() != "highest"


class _Flash(torch.autograd.Function):
    """The two operations that scaled_dot_product_attention calls on a CPU, both in whole float32."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, mask: Any, causal: bool, scaling: float | None) -> Any:
        with whole_float32():
            made, normaliser = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query, key, value, 0.0, causal, attn_mask=mask, scale=scaling
            )
        ctx.save_for_backward(query, key, value, mask, made, normaliser)
        ctx.how = causal, scaling
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        query, key, value, mask, made, normaliser = ctx.saved_tensors
        causal, scaling = ctx.how
        with whole_float32():
            gradients = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                gradient, query, key, value, made, normaliser, 0.0, causal, attn_mask=mask, scale=scaling
            )
        return *gradients, None, None, None


@contextmanager
def whole_float32() -> Iterator[None]:
    """Products of float32 without TF32 and without bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
