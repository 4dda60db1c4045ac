"""More rows in the vocabulary while a model trains, for kernels that like round numbers (`train.pad_vocabulary_to`).

No id of a row is in them and no loss reads their logits, so they stay 0 and change nothing: neither the other weights
nor the norm of the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def padded_rows(vocab_size: int, multiple: int) -> int:
    """The number of rows: the smallest multiple that is at least vocab_size."""
    return -(-vocab_size // multiple) * multiple


def set_rows(model: Any, rows: int) -> None:
    """Gives the embedding and the output layer this number of rows: more, filled with 0, or the first ones.

    Their weights become new parameters, so this must be done before an optimizer is made.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    old = [embedding.weight, head.weight, *([] if head.bias is None else [head.bias])]
    new = {id(parameter): _resized(parameter, rows) for parameter in old}
    for module in model.modules():  # a T5 has its embedding in three modules
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in new:
                setattr(module, name, new[id(parameter)])
                setattr(module, "out_features" if module is head else "num_embeddings", rows)


def _resized(parameter: torch.nn.Parameter, rows: int) -> torch.nn.Parameter:
    more = rows - len(parameter)
    with torch.no_grad():
        last = (0, 0) * (parameter.ndim - 1)  # functional.pad counts dimensions from the last
        changed = parameter[:rows].clone() if more <= 0 else functional.pad(parameter, (*last, 0, more))
    return torch.nn.Parameter(changed, requires_grad=parameter.requires_grad)
