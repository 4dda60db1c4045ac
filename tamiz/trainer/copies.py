"""bfloat16 copies of float32 weights, on which forward and backward run; the optimizer has the float32 ones.

Under autocast, each product would cast its weights anew, and all that isn't a product would stay float32. Here the
weights are cast once a step, and activations are bfloat16. Norms compute in float32 and give bfloat16, as Llama's,
T5's and torch's do by themselves; the loss is float32. T5's `wo` needs float32 only beside float16 (transformers'
_keep_in_fp32_modules). Buffers, such as rotary wavelengths, stay float32.

Memory for each weight: 4 bytes, its gradient 4, AdamW's means 8, the copy 2. The copy's gradient is added to the
float32 one and freed as soon as it is whole, so no second set of gradients exists, and micro-batches add up in
float32. GPT-J-6B, 6.05e9 weights: 24.2 + 24.2 + 48.4 + 12.1 = 108.9 GB = 101.4 GiB. Of 139 GiB, 37 are left: for
activations, 0.47 GB for each row of 2,048 ids with train.checkpoint_activations (28 layers of 2,048 * 4,096 * 2
bytes) and about 8 GB without; 0.5 GB for what one layer computes again; and 6 GB for a chunk of the loss (8,192 *
50,400 logits: 0.8 GB in bfloat16, 1.7 in float32, twice while one becomes the other) with the gradient of the output
layer (0.8 GB in float32).
"""

from __future__ import annotations

import copy
from typing import Any

import torch


class Copies:
    """A copy of the model whose weights are `dtype`. masters: the model whose weights are trained; it takes the
    gradients. Tied weights stay tied, frozen ones frozen."""

    def __init__(self, masters: torch.nn.Module, dtype: torch.dtype = torch.bfloat16) -> None:
        known: dict[int, Any] = {}
        self._pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        for master in masters.parameters():
            made = torch.nn.Parameter(master.detach().to(dtype), requires_grad=master.requires_grad)
            known[id(master)] = made
            self._pairs.append((made, master))
            if master.requires_grad:
                made.register_post_accumulate_grad_hook(_into(master))
        self.model: Any = copy.deepcopy(masters, known)

    @torch.no_grad()
    def refresh(self) -> None:
        """Casts the weights anew. Call before each forward pass after they have changed."""
        torch._foreach_copy_([made for made, _ in self._pairs], [master for _, master in self._pairs])


def _into(master: torch.Tensor) -> Any:
    """The hook that moves a copy's gradient to its master, in float32."""

    def add(made: torch.Tensor) -> None:
        gradient, made.grad = made.grad, None
        assert gradient is not None
        if master.grad is None:
            master.grad = gradient.to(master.dtype)
        else:
            master.grad.add_(gradient)

    return add
