"""Attention of all families: fused kernels, without a mask where a row is one document.

transformers knows the function as NAME, and knows two slower kernels for machines where the first is wrong (KERNELS;
`tamiz.trainer.self_test` chooses). It then makes no mask of its own: traced, it would make one of [n, n] for every
row, and no fused kernel takes that (huggingface/transformers#48975). A mask given as `attention_mask` with four
dimensions reaches the function as it is.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from tamiz.trainer.families import cpu_attention, document_attention

NAME = "tamiz"
PLAIN = "tamiz_plain"
PRODUCTS = "tamiz_products"
EAGER = "eager"  # transformers' own
KERNELS = {
    NAME: "fused attention, cuDNN's and flex_attention's included",
    PLAIN: "fused attention without cuDNN and flex_attention",
    PRODUCTS: "attention that stores all products",
}
"""From the fastest to the safest."""

FLEX_HEAD = 16  # the narrowest head that flex_attention takes on a GPU
CUDNN_HEAD = 128  # the widest head that cuDNN has a backward pass for

Mask = Any
"""None: each id sees those before it. bool [b, 1, n, n], or a BlockMask of these dimensions: what it sees. int64
[b, 1, 1, n]: its document; it sees those before it in the same one."""


@cache
def register() -> str:
    """Makes the kernels known to transformers; returns the name of the fastest."""
    from transformers import AttentionInterface

    for kernel in KERNELS:
        AttentionInterface.register(kernel, partial(_for_transformers, kernel=kernel))
    return NAME


def use(model: torch.nn.Module, kernel: str) -> None:
    """Makes a model that a family has built compute its attention with a kernel: one of KERNELS, or EAGER."""
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation"):
            config._attn_implementation = kernel


def causal_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: Mask = None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    kernel: str = NAME,
) -> torch.Tensor:
    """[b, heads, n, width], from queries of that shape and keys and values that may have fewer heads, each for a
    group of queries. scaling: of the products; None: width ** -0.5."""
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast, rotary positions give float32
    if mask is not None and not isinstance(mask, torch.Tensor):
        if query.is_cuda and query.shape[-1] >= FLEX_HEAD and not dropout:
            groups = query.shape[1] != key.shape[1]
            flex = flex_attention if torch.compiler.is_compiling() else _compiled_flex()
            flexed: torch.Tensor = flex(query, key, value, block_mask=mask, scale=scaling, enable_gqa=groups)
            return flexed
        mask = document_attention.dense(mask, query)
    if mask is not None and mask.dtype == torch.int64:
        lengths = None if query.is_cuda else document_attention.lengths(mask, query)
        if lengths is not None:
            return document_attention.apart(query, key, value, lengths, dropout=dropout, scaling=scaling)
        mask = document_mask(mask[:, 0, 0], blocks=False)
    whole = mask is None and query.shape[2] > 1  # one query, from a cache, sees all keys
    return _fused(query, key, value, mask, kernel, dropout, scaling, causal=whole)


def biased_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    kernel: str = NAME,
) -> torch.Tensor:
    """[b, heads, n, width], from queries of that shape and keys and values [b, heads, m, width]. Each query sees all
    keys.

    bias: added to the scaled products, in the dtype of the queries: with another one, kernels were silently wrong
    (pytorch#191612). It may have 1 for b, heads or n. None: 0.
    """
    if bias is None:
        return _fused(query, key, value, None, kernel, dropout, scaling)
    bias = bias.to(query.dtype)
    # a CPU has no fused kernel for a bias that learns, and torch's fallback takes a fifth longer than these products
    if bias.requires_grad and (kernel == PRODUCTS or not query.is_cuda):
        return _products(query, key, value, bias, dropout, scaling)
    return _fused(query, key, value, bias, kernel, dropout, scaling)


def backends(kernel: str, width: int, *, masked: bool) -> list[SDPBackend]:
    """torch's kernels in the order in which they are tried on a GPU, for heads of a width.

    cuDNN's is the fastest on an H100 (1.7 to 2.3 times flash attention, huggingface/transformers#48163), but its
    gradient may be NaN with a mask (pytorch#196678).
    """
    if kernel == PRODUCTS:
        return [SDPBackend.MATH]
    order = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    first = kernel == NAME and not masked and width <= CUDNN_HEAD
    return [SDPBackend.CUDNN_ATTENTION, *order] if first else order


def masked(bias: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A bias with the least number where a mask, bool or int [1 or b, 1, 1 or n, m], is false; a mask of numbers is
    added."""
    if mask.is_floating_point():
        return bias + mask.to(bias.dtype)
    return torch.where(mask.bool(), bias, torch.finfo(bias.dtype).min)


def mask_for(documents: torch.Tensor, implementation: str) -> Mask:
    """What a model with this implementation of attention takes as `attention_mask`; see `document_mask`."""
    if implementation == NAME and not documents.is_cuda:
        return documents[:, None, None, :]
    mask = document_mask(documents, blocks=implementation == NAME)
    if implementation != EAGER:
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, torch.finfo(torch.float32).min)  # is added


def document_mask(documents: torch.Tensor, *, blocks: bool) -> Mask:
    """The mask of rows of several documents: each id sees those before it in its own document.

    documents: [b, n], equal within a document and greater in the next one. blocks: as a BlockMask, for flex_attention
    on a GPU, else bool [b, 1, n, n].
    """
    if blocks:
        return document_attention.block_mask(documents)
    same = documents[:, None, :, None] == documents[:, None, None, :]
    return same.tril_()


def positions(documents: torch.Tensor) -> torch.Tensor:
    """[b, n]: the place of each id in its document, from 0. A document that continues from another row begins again.

    documents: [b, n], equal within a document.
    """
    places = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    changes = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return places - places.masked_fill(~changes, 0).cummax(1).values


def _fused(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    kernel: str,
    dropout: float,
    scaling: float | None,
    *,
    causal: bool = False,
) -> torch.Tensor:
    if kernel != PRODUCTS and not query.is_cuda:
        return cpu_attention.fused(query, key, value, mask, dropout=dropout, causal=causal, scaling=scaling)
    groups = query.shape[1] // key.shape[1]
    if groups > 1 and mask is not None:  # the fused kernel that takes masks takes no groups
        key, value = (tensor.repeat_interleave(groups, 1) for tensor in (key, value))
        groups = 1
    with sdpa_kernel(backends(kernel, query.shape[-1], masked=mask is not None), set_priority=True):
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, causal, scale=scaling, enable_gqa=groups > 1
        )


def _products(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Adds in place, and stores nothing but the softmax."""
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    products = torch.matmul(query if factor == 1.0 else query * factor, key.transpose(2, 3))
    products += bias
    weights = functional.dropout(torch.softmax(products, -1), dropout)
    return torch.matmul(weights, value)


def _for_transformers(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Mask,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_bias: torch.Tensor | None = None,
    *,
    kernel: str,
    whole_bias: bool = False,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """As `transformers.AttentionInterface` wants it: the result is [b, n, heads, width]. position_bias: T5's.
    whole_bias: it has all masks."""
    how: Any = {"dropout": dropout if module.training else 0.0, "scaling": scaling, "kernel": kernel}
    if position_bias is None:
        made = causal_attention(query, key, value, attention_mask, **how)
    else:
        bias = position_bias if whole_bias else _whole(position_bias, attention_mask, module, query, key)
        made = biased_attention(query, key, value, _or_none(bias), **how)
    return made.transpose(1, 2).contiguous(), None


def _whole(
    bias: torch.Tensor, mask: torch.Tensor | None, module: Any, query: torch.Tensor, key: torch.Tensor
) -> torch.Tensor:
    """A T5's bias with its masks, while it writes: its queries are the last ids of the keys."""
    asked, known = query.shape[2], key.shape[2]
    if module.is_causal and asked > 1:
        past = torch.ones(asked, known, dtype=torch.bool, device=query.device).tril(known - asked)
        bias = masked(bias, past[None, None])
    return bias if mask is None else masked(bias, mask)


def _or_none(bias: torch.Tensor) -> torch.Tensor | None:
    """One number changes nothing: None, which all fused kernels take. One that learns gets its gradient, 0."""
    return None if bias.numel() == 1 and not bias.requires_grad else bias


@cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=False)
