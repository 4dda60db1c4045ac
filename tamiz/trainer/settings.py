"""Settings of a training. Imports no torch, so that recipes can name them; a model's are in `families`."""

from __future__ import annotations

from typing import Literal

from corpora.config import Config
from corpora.tokens.denoisers import SpanCorruptionSettings
from tamiz.trainer.bounds import above_zero, at_least


class TrainSettings(Config, frozen=True, kw_only=True):
    """How a model is trained."""

    steps: int
    """Updates of the weights."""
    batch_size: int = 32
    """Rows per step over all devices."""
    micro_batch_size: int | None = None
    """Rows per forward pass, their gradients summed. None: 4 on a CPU (as fast there, in less memory), the whole
    batch on a GPU."""
    learning_rate: float = 3e-3
    """The schedule's highest rate."""
    warmup_steps: int = 100
    """Steps at learning_rate before inverse_sqrt falls."""
    ramp_steps: int = 0
    """The first steps, over which the rate grows linearly from 0; T5 has none."""
    schedule: Literal["inverse_sqrt", "constant"] = "inverse_sqrt"
    """inverse_sqrt: T5's, falling with the root of the step after warmup_steps."""
    weight_decay: float = 0.0
    """AdamW's, of matrices only: never of norms, biases or embeddings of positions (the family says which)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay rates of the gradient's mean and square."""
    epsilon: float = 1e-8
    """AdamW's."""
    clip_norm: float = 1.0
    """Bound of the gradient's global norm."""
    validate_every: int = 500
    """Steps between validations; 0: only before the first step and after the last."""
    validation_batches: int = 8
    """At most this many batches of the validation split, the same rows each time."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0 for none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 autocast on a GPU that has it, float32 elsewhere."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    span_corruption: SpanCorruptionSettings | None = None
    """Noise that corrupts the rows of causal shards anew in each epoch (T5). None: rows are used as stored."""
    num_threads: int = 2
    """torch's threads on a CPU; another number changes the last bits of the weights."""
    seed: int = 0
    """Of the initial weights, the order of rows, dropout and span_corruption's noise."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validation_batches", "num_threads"):
            at_least(name, getattr(self, name), 1)
        for name in ("warmup_steps", "ramp_steps", "validate_every", "checkpoint_every", "seed"):
            at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "epsilon", "clip_norm"):
            above_zero(name, getattr(self, name))
        if not 0.0 <= self.weight_decay < 1.0:
            raise ValueError(f"weight_decay is {self.weight_decay}; it must be at least 0 and below 1")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas are {list(self.betas)}; both must be at least 0 and below 1")
        if self.micro_batch_size is not None and not 1 <= self.micro_batch_size <= self.batch_size:
            raise ValueError(
                f"micro_batch_size is {self.micro_batch_size}; it must be from 1 to batch_size ({self.batch_size})"
            )
