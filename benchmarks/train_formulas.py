"""MFU by the four formulas in use, so that figures can be compared with anyone's.

All count operations of training on one id: 2 forward and 4 backward for each parameter that it meets, and for each
layer, its attention's width and pair of query and key 4 forward and 8 backward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamiz.trainer.cost import SIX_N, WITH_ATTENTION, cost

if TYPE_CHECKING:
    from tamiz.trainer.families.base import ModelSettings

TORCHTITAN = "6(N - embedding) + attention"
HONEST = "6(N - embedding) + attention that isn't masked"
FORMULAS = (WITH_ATTENTION, SIX_N, TORCHTITAN, HONEST)  # the first is ours


def flops_per_token(settings: ModelSettings, inputs: int, targets: int, documents: int = 1) -> dict[str, float]:
    """Operations for one id of a row, by formula; the ids of a decoder are counted as ids, too.

    embedding: the table of inputs, in which ids are looked up; a tied one is an output layer as well, so it stays.
    Not masked: half of the pairs of a causal model, and with several documents of equal length in a row (documents)
    only those inside one; in a decoder half of its own pairs, and the keys and values that it makes of all inputs.
    """
    import torch

    found = cost(settings, inputs, targets)
    ids, six, whole = inputs + targets, found.flops[SIX_N], found.flops[WITH_ATTENTION]
    with torch.device("meta"):
        model = settings.build(seed=0)
    config = model.config
    if config.is_encoder_decoder:  # cost() leaves the tables out already
        own = 12 * config.num_heads * config.d_kv * config.num_decoder_layers * targets * targets
        # cost() counts all of a decoder for the targets, but its keys and values of the encoder are of the inputs
        crossing = 6 * config.num_decoder_layers * 2 * config.d_model * config.num_heads * config.d_kv
        counts = (whole, six, whole, whole - own / 2 + crossing * (inputs - targets))
    else:
        tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
        looked_up = 0 if tied else 6 * found.embedding * inputs
        counts = (whole, six, whole - looked_up, six - looked_up + (whole - six) / (2 * documents))
    return {name: count / ids for name, count in zip(FORMULAS, counts, strict=True)}


def utilisations(flops: dict[str, float], tokens_per_second: float, peak: float) -> dict[str, float]:
    """MFU by formula. peak: operations in a second."""
    return {name: count * tokens_per_second / peak for name, count in flops.items()}
