"""Builds a model from its settings: transformers' own classes, initialised from a seed."""

from __future__ import annotations

from typing import Any

import torch

from corpora.errors import BadArgument
from tamiz.trainer.settings import ModelSettings

PAD_ID = 0
EOS_ID = 1


def build(settings: ModelSettings, *, seed: int, pad_id: int = PAD_ID, eos_id: int = EOS_ID) -> Any:
    """A model with float32 weights on the CPU; equal settings and seed give equal weights. The global generator
    of torch is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match settings.family:
            case "t5":
                return _t5(settings, pad_id, eos_id)
            case other:
                raise BadArgument(f"model.family is {other!r}; the families known are: t5")


def _t5(settings: ModelSettings, pad_id: int, eos_id: int) -> Any:
    """The decoder starts from pad, as T5's does."""
    from transformers import T5Config, T5ForConditionalGeneration

    fields: dict[str, Any] = {
        "vocab_size": settings.vocab_size,
        "num_layers": settings.num_layers,
        "num_decoder_layers": settings.num_decoder_layers,
        "d_model": settings.d_model,
        "d_ff": settings.d_ff,
        "d_kv": settings.d_kv,
        "num_heads": settings.num_heads,
        "feed_forward_proj": settings.feed_forward,
        "tie_word_embeddings": settings.tie_embeddings,
        "dropout_rate": settings.dropout,
        "relative_attention_num_buckets": settings.relative_attention_num_buckets,
        "relative_attention_max_distance": settings.relative_attention_max_distance,
        "pad_token_id": pad_id,
        "eos_token_id": eos_id,
        "decoder_start_token_id": pad_id,
    }
    built = T5ForConditionalGeneration(T5Config(**fields))
    if not settings.tie_embeddings:
        _untie(built, settings)
    return built


def _untie(built: Any, settings: ModelSettings) -> None:
    """An output layer of its own. transformers 5 reads tie_word_embeddings=False as "don't scale the logits" and ties
    all the same, but loads a head that is stored; its spread here gives the logits that of the tied, scaled model."""
    head = torch.empty(settings.vocab_size, settings.d_model)
    built.lm_head.weight = torch.nn.Parameter(head.normal_(std=settings.d_model**-0.5))


def num_parameters(model: torch.nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())
