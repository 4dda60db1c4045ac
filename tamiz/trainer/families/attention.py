"""Attention of causal families: fused kernels, without a mask where a row is one document.

transformers knows the function as NAME. It then makes no mask of its own: traced, it would make one of [n, n] for
every row, and no fused kernel takes that (huggingface/transformers#48975). A mask given as `attention_mask` with four
dimensions reaches the function as it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch.nn import functional

NAME = "tamiz"
FLEX_HEAD = 16  # the narrowest head that flex_attention takes on a GPU

Mask = Any
"""None: each id sees those before it. bool [b, 1, n, n], or a BlockMask of these dimensions: what it sees."""


@cache
def register() -> str:
    """Makes the function known to transformers; returns its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _for_transformers)
    return NAME


def causal_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: Mask = None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> torch.Tensor:
    """[b, heads, n, width], from queries of that shape and keys and values that may have fewer heads, each for a
    group of queries. scaling: of the products; None: width ** -0.5."""
    groups = query.shape[1] != key.shape[1]
    if mask is not None and not isinstance(mask, torch.Tensor):
        if query.shape[-1] >= FLEX_HEAD and query.is_cuda:
            query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast, rotary positions give float32
            return _flex()(query, key, value, block_mask=mask, scale=scaling, enable_gqa=groups)
        mask = _dense(mask, query)
    whole = mask is None and query.shape[2] > 1  # one query, from a cache, sees all keys
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=whole, scale=scaling, enable_gqa=groups
    )


def mask_for(documents: torch.Tensor, implementation: str) -> Mask:
    """What a model with this implementation of attention takes as `attention_mask`; see `document_mask`."""
    mask = document_mask(documents, blocks=implementation == NAME and documents.is_cuda)
    if implementation != "eager":
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, torch.finfo(torch.float32).min)  # is added


def document_mask(documents: torch.Tensor, *, blocks: bool) -> Mask:
    """The mask of rows of several documents: each id sees those before it in its own document.

    documents: [b, n], equal within a document. blocks: as a BlockMask, for flex_attention on a GPU, else bool
    [b, 1, n, n].
    """
    rows, width = documents.shape
    if not blocks:
        same = documents[:, None, :, None] == documents[:, None, None, :]
        return same.tril_()
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(row: Any, _head: Any, query: Any, key: Any) -> Any:
        return (query >= key) & (documents[row, query] == documents[row, key])

    return create_block_mask(sees, rows, None, width, width, device=str(documents.device))


def positions(documents: torch.Tensor) -> torch.Tensor:
    """[b, n]: the place of each id in its document, from 0. A document that continues from another row begins again.

    documents: [b, n], equal within a document.
    """
    places = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    changes = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return places - places.masked_fill(~changes, 0).cummax(1).values


def _for_transformers(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Mask,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """As `transformers.AttentionInterface` wants it: the result is [b, n, heads, width]."""
    dropped = dropout if module.training else 0.0
    made = causal_attention(query, key, value, attention_mask, dropout=dropped, scaling=scaling)
    return made.transpose(1, 2).contiguous(), None


def _dense(mask: Mask, query: torch.Tensor) -> torch.Tensor:
    from torch.nn.attention.flex_attention import create_mask

    rows, width = mask.shape[0], query.shape[2]
    return create_mask(mask.mask_mod, rows, 1, width, width, device=str(query.device))


@cache
def _flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)
