"""Attention within documents: a row of several documents, each of which sees nothing of the others.

On a CPU each document is a call of its own, so that no time goes into products that a mask would hide: at 1,024 ids a
row and 9 documents in each, a third of the time that one call with a mask takes. On a GPU flex_attention passes over
blocks that are hidden whole.
"""

from __future__ import annotations

from typing import Any

import torch

from tamiz.trainer.families import cpu_attention

BLOCK = 128  # ids on a side of a block of flex_attention's masks
# What one more call costs, forward and backward, in products of numbers that a call with a mask does in that time;
# measured on one thread of a Xeon with AVX-512: 0.4 ms against 0.18 ns a product.
CALL = 2_000_000


def lengths(mask: torch.Tensor, query: torch.Tensor) -> list[int] | None:
    """The lengths of the documents of all rows, one after the other; None if one call with a mask is faster, or while
    torch compiles, which it can't with numbers read from a batch.

    mask: int64 [b, 1, 1, n], equal within a document. query: [b, heads, n, width].
    """
    if torch.compiler.is_compiling():
        return None
    documents = mask[:, 0, 0]
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    found: list[int] = begins.flatten().nonzero()[:, 0].diff(append=torch.tensor([documents.numel()])).tolist()
    hidden = documents.numel() * documents.shape[1] - sum(length**2 for length in found)
    return found if hidden * query.shape[1] * query.shape[3] > CALL * len(found) else None


def apart(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: list[int],
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> torch.Tensor:
    """Causal attention of each document alone: [b, heads, n, width], from the arguments of `causal_attention`. The
    sum of lengths is b * n."""
    rows, _, width, _ = query.shape
    # laid out id by id, as the layers before have made them: to split is then to look, and its gradient one copy
    parts = [tensor.transpose(1, 2).flatten(0, 1).split(lengths) for tensor in (query, key, value)]
    made = []
    for document in zip(*parts, strict=True):
        q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in document)
        seen = cpu_attention.fused(q, k, v, dropout=dropout, causal=True, scaling=scaling)
        made.append(seen[0].transpose(0, 1))
    return torch.cat(made).unflatten(0, (rows, width)).transpose(1, 2)


def block_mask(documents: torch.Tensor) -> Any:
    """The BlockMask under which each id sees those before it in its own document. Unlike torch's create_block_mask it
    needs no mask of [n, n]: the documents at the borders of two blocks say what they see of one another.

    documents: [b, n], equal within a document and greater in the next one.
    """
    from torch.nn.attention.flex_attention import BlockMask

    documents = documents.contiguous()
    width = documents.shape[1]
    starts = torch.arange(0, width, BLOCK, device=documents.device)
    first, last = documents[:, starts], documents[:, (starts + BLOCK - 1).clamp(max=width - 1)]
    earlier = starts[:, None] > starts  # of a block of queries and one of keys: [blocks, blocks]
    same = starts[:, None] == starts
    meet = (first[:, :, None] == last[:, None, :]) & earlier | same
    whole = (last[:, :, None] == first[:, None, :]) & earlier & (starts[:, None] + BLOCK <= width)

    def sees(row: Any, _head: Any, query: Any, key: Any) -> Any:
        return (query >= key) & (documents[row, query] == documents[row, key])

    made: Any = BlockMask.from_kv_blocks(
        *_listed(meet & ~whole), *_listed(whole), BLOCK_SIZE=BLOCK, mask_mod=sees, seq_lengths=(width, width)
    )
    return made


def dense(mask: Any, query: torch.Tensor) -> torch.Tensor:
    """A BlockMask as bool [b, 1, n, n]."""
    from torch.nn.attention.flex_attention import create_mask

    rows, width = mask.shape[0], query.shape[2]
    return create_mask(mask.mask_mod, rows, 1, width, width, device=str(query.device))


def _listed(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many blocks of keys each block of queries has, int32 [b, 1, blocks], and the numbers of all blocks, these
    first, int32 [b, 1, blocks, blocks]."""
    counted = blocks[:, None].int()
    return counted.sum(-1, dtype=torch.int32), counted.argsort(dim=-1, descending=True, stable=True).int()
