"""GPT-J's attention with fused kernels: transformers only has one in float32 that stores all products of a layer."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers.models.gptj import modeling_gptj

from tamiz.trainer.families import attention


class FusedAttention(modeling_gptj.GPTJAttention):
    """The same weights and positions."""

    def _attn(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: attention.Mask = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        kernel = self.config._attn_implementation
        if kernel == attention.EAGER:
            return super()._attn(query, key, value, attention_mask)
        dropped = self.attn_dropout.p if self.training else 0.0
        return attention.causal_attention(query, key, value, attention_mask, dropout=dropped, kernel=kernel), None


@cache
def register() -> str:
    """Makes the class known to transformers' GPT-J; returns its name."""
    classes: dict[str, Any] = modeling_gptj.GPTJ_ATTENTION_CLASSES
    classes[attention.NAME] = FusedAttention
    return attention.register()
