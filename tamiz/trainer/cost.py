"""The exact size of a model and the FLOPs of its training, without memory for its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamiz.trainer.families.base import ModelSettings

SIX_N = "6N"
WITH_ATTENTION = "6N + attention"


@dataclass(frozen=True)
class Cost:
    """parameters: tied ones count once. embedding: those of the input embedding. flops: formula -> floating-point
    operations of training on one row, forward and backward."""

    parameters: int
    embedding: int
    flops: dict[str, int]


def cost(settings: ModelSettings, inputs: int, targets: int) -> Cost:
    """inputs, targets: ids of a row that an encoder, or a causal model, reads; and those of a decoder, or 0."""
    import torch

    with torch.device("meta"):
        model = settings.build(seed=0)
    return Cost(_count(model), model.get_input_embeddings().weight.numel(), _flops(model, inputs, targets))


def _count(module: Any, left_out: frozenset[int] = frozenset()) -> int:
    """Parameters of a module, each once."""
    return sum(p.numel() for p in module.parameters() if id(p) not in left_out)


def _flops(model: Any, inputs: int, targets: int) -> dict[str, int]:
    """Of training on one row: 6 for each parameter and id that it meets (2 forward, 4 backward), and 12 for each
    layer, its attention's width, and pair of query and key, of which none is left out for masks. Sources:
    arXiv:2001.08361 section 2.1; arXiv:2204.02311 appendix B.

    In an encoder-decoder, the encoder's parameters meet the inputs and all others the targets.
    """
    config = model.config
    if not config.is_encoder_decoder:
        dense = 6 * _count(model) * inputs
        pairs = config.num_hidden_layers * config.hidden_size * inputs * inputs
        return {SIX_N: dense, WITH_ATTENTION: dense + 12 * pairs}
    table = frozenset({id(model.get_input_embeddings().weight)})
    encoder = _count(model.get_encoder(), table)
    decoder = _count(model.get_decoder(), table) + model.get_output_embeddings().weight.numel()
    dense = 6 * (encoder * inputs + decoder * targets)
    inside = config.num_layers * inputs * inputs + config.num_decoder_layers * targets * targets
    pairs = config.num_heads * config.d_kv * (inside + config.num_decoder_layers * targets * inputs)
    return {SIX_N: dense, WITH_ATTENTION: dense + 12 * pairs}
