"""T5's attention with fused kernels, where transformers' is slow, or wrong (its flex_attention).

The bias of a query and a key depends on their distance alone: it is looked up once for each distance and stack of
layers, not for each pair, and it tells what a query doesn't see, so that no layer needs a mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers.models.t5 import modeling_t5

from tamiz.trainer.families import attention
from tamiz.trainer.families.base import IGNORED, INPUT_MASK, TARGETS

GPU_STEP = 128  # kernels are fastest, and best tested, at lengths that are multiples of it


class FusedAttention(modeling_t5.T5Attention):
    """The same weights and results. All masks are part of the bias, which the layers of a stack share."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        mask: torch.Tensor | None = None,
        key_value_states: torch.Tensor | None = None,
        position_bias: torch.Tensor | None = None,
        past_key_values: Any = None,
        **others: Any,
    ) -> Any:
        if past_key_values is not None:  # the text is written id by id: transformers knows the distances
            return super().forward(hidden_states, mask, key_value_states, position_bias, past_key_values, **others)
        if position_bias is None:
            position_bias = self._bias(hidden_states, mask)
        others["whole_bias"] = True
        return super().forward(hidden_states, None, key_value_states, position_bias, None, **others)

    def _bias(self, queries: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """[1 or b, heads, n, m]; of a layer without distances [1, 1, 1, 1], or [b, 1, 1, m] if it has a mask."""
        kind = queries.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else queries.dtype
        if self.has_relative_attention_bias:
            width = queries.shape[1]
            bias = by_distance(self._distances(width, dtype), width).unsqueeze(0).to(dtype)
        else:
            bias = queries.new_zeros((1, 1, 1, 1), dtype=dtype)
        return bias if mask is None else attention.masked(bias, mask)

    def _distances(self, width: int, dtype: torch.dtype) -> torch.Tensor:
        """[heads, 2 * width - 1]: the bias at the distances from 1 - width to width - 1, from a query to a key; the
        least number of the dtype where a decoder doesn't see the key."""
        device = self.relative_attention_bias.weight.device
        distances = torch.arange(1 - width, width, device=device)
        buckets = self._relative_position_bucket(
            distances,
            bidirectional=not self.is_decoder,
            num_buckets=self.relative_attention_num_buckets,
            max_distance=self.relative_attention_max_distance,
        )
        found: torch.Tensor = self.relative_attention_bias(buckets).T
        if self.is_decoder:
            found = found.masked_fill(distances > 0, torch.finfo(dtype).min)
        return found


class FusedStack(modeling_t5.T5Stack):
    """A stack whose masks of keys, [b, m], reach its attention: transformers drops them for kernels of others."""

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        **others: Any,
    ) -> Any:
        return super().forward(
            input_ids=input_ids,
            attention_mask=_of_keys(attention_mask),
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=_of_keys(encoder_attention_mask),
            **others,
        )


def install(model: torch.nn.Module) -> None:
    """Gives a T5 this attention. Its weights, their names and what it saves stay as they are."""
    for module in model.modules():
        if type(module) is modeling_t5.T5Attention:
            module.__class__ = FusedAttention
        elif type(module) is modeling_t5.T5Stack:
            module.__class__ = FusedStack
    attention.use(model, attention.register())


def by_distance(values: torch.Tensor, width: int) -> torch.Tensor:
    """[heads, width, width]: at (query, key) the value of their distance, key - query.

    values: [heads, 2 * width - 1], of the distances from 1 - width to width - 1.
    """
    # From distance 0 on, one that isn't used, then the negative ones, in rows of 2 * width: read as rows that are one
    # shorter, each begins one distance further back. No step, forward or backward, adds in an unstated order.
    zero, length = width - 1, 2 * width
    turned = torch.cat([values[:, zero:], values[:, :1], values[:, :zero]], -1)
    rows = turned.unsqueeze(1).expand(-1, width, -1).reshape(len(values), -1)
    return rows[:, : width * (length - 1)].view(-1, width, length - 1)[..., :width].contiguous()


def widened(prepared: dict[str, torch.Tensor], pad_id: int, step: int) -> dict[str, torch.Tensor]:
    """A prepared batch with lengths that are multiples of `step`: inputs are hidden by INPUT_MASK, which then may
    have one row for all; targets aren't predicted, and none before them sees them."""
    inputs, targets = prepared["input_ids"], prepared[TARGETS]
    more, later = -inputs.shape[1] % step, -targets.shape[1] % step
    made = {**prepared, TARGETS: functional.pad(targets, (0, later), value=IGNORED)}
    if more:
        known = prepared.get(INPUT_MASK)
        known = torch.ones_like(inputs[:1], dtype=torch.bool) if known is None else known
        made |= {
            "input_ids": functional.pad(inputs, (0, more), value=pad_id),
            INPUT_MASK: functional.pad(known, (0, more), value=False),
        }
    return made


def _of_keys(mask: torch.Tensor | None) -> torch.Tensor | None:
    return mask[:, None, None, :] if mask is not None and mask.ndim == 2 else mask
