"""Settings of the model and of its training. Imports no torch and no transformers, so that recipes can name them."""

from __future__ import annotations

from typing import Literal

from corpora.config import Config
from corpora.tokens.denoisers import SpanCorruptionSettings


class ModelSettings(Config, frozen=True, kw_only=True):
    """The shape of a T5. The defaults are jalbarracin/T5-spanish-efficient-tiny's: 7,176,896 parameters at 5,000 ids.

    d_kv: width of one attention head; the heads together may be narrower than d_model.
    feed_forward: relu (T5 1.0) or gated-gelu (T5 1.1).
    tie_embeddings: the output layer is the embedding, its logits scaled by d_model ** -0.5.
    vocab_size: every id, sentinels included.
    """

    family: Literal["t5"] = "t5"
    num_layers: int = 4
    num_decoder_layers: int = 3
    d_model: int = 320
    d_ff: int = 512
    d_kv: int = 64
    num_heads: int = 4
    feed_forward: Literal["relu", "gated-gelu"] = "relu"
    tie_embeddings: bool = True
    dropout: float = 0.0
    vocab_size: int
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128

    def __post_init__(self) -> None:
        for name in ("num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads"):
            _at_least(name, getattr(self, name), 1)
        _at_least("vocab_size", self.vocab_size, 3)
        _at_least("relative_attention_num_buckets", self.relative_attention_num_buckets, 4)
        if self.relative_attention_max_distance <= self.relative_attention_num_buckets // 2:
            raise ValueError(
                f"relative_attention_max_distance is {self.relative_attention_max_distance}; it must be more than "
                f"half of relative_attention_num_buckets ({self.relative_attention_num_buckets})"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")


class TrainSettings(Config, frozen=True, kw_only=True):
    """How a model is trained.

    batch_size: rows per step over all devices. micro_batch_size: rows per forward pass, their gradients summed;
    None takes 4 on a CPU (as fast there, in less memory) and the whole batch on a GPU.
    schedule: inverse_sqrt (T5's: learning_rate for warmup_steps, then falling with the root of the step) or constant.
    ramp_steps: the first steps, over which the rate grows linearly from 0; T5 has none.
    weight_decay: AdamW's, of matrices only: never of norms, biases or embeddings of positions.
    clip_norm: bound of the gradient's global norm.
    validate_every, checkpoint_every: steps; 0 is only at the start and end (validation) or never (checkpoints).
    validation_batches: at most so many batches of the validation split, always the same rows.
    precision: auto is bfloat16 autocast on a GPU that has it and float32 elsewhere.
    span_corruption: takes causal shards and corrupts their rows anew in each epoch; None takes rows as they are.
    num_threads: torch's threads on a CPU; another number gives other last bits.
    """

    steps: int
    batch_size: int = 32
    micro_batch_size: int | None = None
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    ramp_steps: int = 0
    schedule: Literal["inverse_sqrt", "constant"] = "inverse_sqrt"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    validate_every: int = 500
    validation_batches: int = 8
    checkpoint_every: int = 500
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    span_corruption: SpanCorruptionSettings | None = None
    num_threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validation_batches", "num_threads"):
            _at_least(name, getattr(self, name), 1)
        for name in ("warmup_steps", "ramp_steps", "validate_every", "checkpoint_every", "seed"):
            _at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "epsilon", "clip_norm"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0.0 <= self.weight_decay < 1.0:
            raise ValueError(f"weight_decay is {self.weight_decay}; it must be at least 0 and below 1")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas are {list(self.betas)}; both must be at least 0 and below 1")
        if self.micro_batch_size is not None and not 1 <= self.micro_batch_size <= self.batch_size:
            raise ValueError(
                f"micro_batch_size is {self.micro_batch_size}; it must be from 1 to batch_size ({self.batch_size})"
            )


def _at_least(name: str, value: int, bound: int) -> None:
    if value < bound:
        raise ValueError(f"{name} is {value}; it must be at least {bound}")
