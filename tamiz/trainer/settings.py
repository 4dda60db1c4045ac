"""Training settings; those of models are in `families`. Doesn't import torch, so recipes can be read without it."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from corpora.config import Config
from corpora.tokens.denoisers import SpanCorruptionSettings
from tamiz.trainer.bounds import above_zero, at_least
from tamiz.trainer.optimizers import DEFAULT, OPTIMIZERS
from tamiz.trainer.schedule import check_schedule

_NO_INFLUENCE = (
    "checkpoint_minutes", "keep_checkpoint", "keep_checkpoints", "country", "max_skipped_steps", "init", "parallel",
    "tensorboard", "deterministic",
)  # fmt: skip
# left out of the identity while they have their defaults: trainings from before these settings stay finished
_LATER = (
    "optimizer", "z_loss", "ramp_from", "final_learning_rate", "schedule_steps", "pad_vocabulary_to",
    "early_stopping", "early_stopping_delta", "keep", "compile",
    "checkpoint_activations",
)  # fmt: skip
# of the identity: what may change when a training is continued, since steps already done don't depend on it
FREE = ("early_stopping", "early_stopping_delta")


class TrainSettings(Config, frozen=True, kw_only=True):
    """How a model is trained."""

    steps: int
    """Number of updates of the weights."""
    batch_size: int = 32
    """Rows per step over all devices."""
    micro_batch_size: int | None = None
    """Rows per forward pass; gradients are summed over the batch. None: 4 on a CPU (as fast as more, with less
    memory), as many as have room on a GPU, which is tried before the first step; with several GPUs, the whole
    batch."""
    checkpoint_activations: bool = False
    """Whether layers keep only what they get, and the backward pass computes the rest again: a third more work, for a
    fraction of the memory. The last bits of the weights depend on it."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether torch.compile compiles the layers, which takes a while at the start. auto: on a GPU. Where it fails,
    a line says so, and the training runs without."""
    learning_rate: float = 3e-3
    """The highest learning rate of the schedule."""
    warmup_steps: int = 100
    """Number of steps at learning_rate before inverse_sqrt starts to fall."""
    ramp_steps: int = 0
    """Number of first steps over which the rate rises linearly from ramp_from; T5 has none."""
    ramp_from: float = 0.0
    """The share of the rate from which ramp_steps begin, at least 0 and below 1; nanoT5: 0.5."""
    schedule: Literal["inverse_sqrt", "constant", "linear", "cosine"] = "inverse_sqrt"
    """inverse_sqrt: T5's schedule, which falls with the square root of the step after warmup_steps. constant: doesn't
    fall. linear, cosine: fall from warmup_steps on to final_learning_rate after the last step, so a finished training
    can't have more, unless schedule_steps is set.
    """
    final_learning_rate: float = 0.0
    """The rate that linear and cosine reach at the step after the last; at most learning_rate."""
    schedule_steps: int | None = None
    """Number of steps over which linear and cosine fall, counted from the first step; the rate stays at
    final_learning_rate afterwards. None: `steps`."""
    optimizer: str = DEFAULT
    """adamw; adafactor (T5's, without momentum; rates are multiplied by the root mean square of each parameter's
    weights); or adamwscale (nanoT5's AdamW, with rates multiplied in the same way)."""
    weight_decay: float = 0.0
    """Weight decay. It applies only to matrices and to the embeddings of ids, not to norms, biases or embeddings of
    positions (by the types of modules; the family may decide otherwise)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay rates for the mean and the square of the gradient; adafactor has none."""
    epsilon: float = 1e-8
    """AdamW's epsilon; adafactor's is fixed."""
    z_loss: float = 0.0
    """Adds z_loss * log(Z)**2 for each target to what the training minimises, where Z is the sum of the exponentials
    of its logits, so that logits don't drift; T5: 1e-4. Losses are shown without it."""
    clip_norm: float = 1.0
    """Maximum global norm of the gradient; larger gradients are scaled down."""
    max_skipped_steps: int = 3
    """Updates in a row that are skipped because the loss or the gradient isn't finite; the next such step ends the
    training. The model doesn't depend on it."""
    validate_every: int = 500
    """Steps between validations; 0: only before the first step and after the last step."""
    validation_batches: int = 8
    """Maximum number of validation batches; they have the same rows each time."""
    early_stopping: int = 0
    """Validations in a row without a new lowest loss after which the training ends; the one before the first step
    counts as the first. 0: it ends after `steps`."""
    early_stopping_delta: float = 0.0
    """By how many nats a validation loss must be below the lowest before it to be new for early_stopping."""
    keep: Literal["last", "best"] = "last"
    """The weights of the finished model: those after the last step, or those with the lowest validation loss, which
    checkpoints then hold as well."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0: none by steps."""
    checkpoint_minutes: float = 15.0
    """Minutes after which the end of a step writes a checkpoint, too; 0: none by time. The model doesn't depend on
    it."""
    keep_checkpoint: bool = True
    """Whether the last checkpoint stays beside the finished model (three times its size), so that more steps can
    continue it. The model doesn't depend on it."""
    keep_checkpoints: int = 2
    """Number of checkpoints that are kept while the training runs. If the newest is damaged, the training continues
    from the one before it. The model doesn't depend on it."""
    tensorboard: bool = False
    """Whether curves for TensorBoard are written to the folder `tensorboard` beside the model; needs the package. The
    model doesn't depend on it."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What forward and backward compute with; weights and the optimizer's means are float32. bfloat16: on a GPU,
    copies of the weights and activations are bfloat16; on a CPU only the factors of matrix products are, and all else
    is float32. float32: all, but for products in TF32 on a GPU. auto: bfloat16 on a GPU that supports it and on a CPU
    with Intel's AMX, else float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    deterministic: bool = False
    """Whether a GPU uses algorithms that give the same bits each time, where there are any; they are slower. A CPU
    always does. Interruptions leave no trace on a CPU in either case."""
    span_corruption: SpanCorruptionSettings | None = None
    """Span corruption of causal rows, with new noise in each epoch (T5). None: rows are used as stored."""
    init: str | None = None
    """The model whose weights the training starts from: a folder, or a name of the Hugging Face Hub (OWNER/NAME or
    OWNER/NAME@REVISION). None: random weights. Its weights, not its name, are part of what the model is made from."""
    pad_vocabulary_to: int = 1
    """While training, the vocabulary gets rows up to a multiple of this number; they are never predicted, and the
    finished model doesn't have them. 1: no rows; 128 makes the output layer faster on GPUs."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How the processes of torchrun share the model: ddp: each has all of it, fsdp: each has a part, which takes less
    memory. One process has all of it. The last bits of the weights depend on it, as on the number of processes."""
    num_threads: int = 2
    """Number of torch threads on a CPU; a different number changes the last bits of the weights."""
    country: str | None = None
    """Where the machine is, as three letters (ISO 3166-1 alpha-3, such as BRA), to convert energy to CO2; needs
    codecarbon. None: only energy is stated. The model doesn't depend on it."""
    seed: int = 0
    """Seed of the initial weights, the order of rows, dropout and the noise of span_corruption."""

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch_size",
            "validation_batches",
            "num_threads",
            "pad_vocabulary_to",
            "keep_checkpoints",
        ):
            at_least(name, getattr(self, name), 1)
        for name in (
            "warmup_steps", "ramp_steps", "validate_every", "checkpoint_every", "seed", "max_skipped_steps",
            "early_stopping",
        ):  # fmt: skip
            at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "epsilon", "clip_norm"):
            above_zero(name, getattr(self, name))
        if not 0.0 <= self.checkpoint_minutes < float("inf"):
            raise ValueError(f"checkpoint_minutes is {self.checkpoint_minutes}; it must be at least 0 and finite")
        if not 0.0 <= self.weight_decay < 1.0:
            raise ValueError(f"weight_decay is {self.weight_decay}; it must be at least 0 and below 1")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas are {list(self.betas)}; both must be at least 0 and below 1")
        if self.micro_batch_size is not None and not 1 <= self.micro_batch_size <= self.batch_size:
            raise ValueError(
                f"micro_batch_size is {self.micro_batch_size}; it must be from 1 to batch_size ({self.batch_size})"
            )
        self._check_early_stopping()
        self._check_optimizer()

    def _check_early_stopping(self) -> None:
        if not 0.0 <= self.early_stopping_delta < float("inf"):
            raise ValueError(f"early_stopping_delta is {self.early_stopping_delta}; it must be at least 0 and finite")
        if self.early_stopping_delta and not self.early_stopping:
            raise ValueError(
                f"early_stopping_delta is {self.early_stopping_delta}, but early_stopping is 0: set early_stopping, "
                "or remove early_stopping_delta"
            )
        if self.early_stopping and not self.validate_every:
            raise ValueError(
                f"early_stopping is {self.early_stopping}, but validate_every is 0: set validate_every, or remove "
                "early_stopping"
            )

    def _check_optimizer(self) -> None:
        if self.optimizer not in OPTIMIZERS.names():
            raise ValueError(f"optimizer is {self.optimizer!r}; it must be one of {', '.join(OPTIMIZERS.names())}")
        OPTIMIZERS.get(self.optimizer).check(self)
        if not 0.0 <= self.z_loss < 1.0:
            raise ValueError(f"z_loss is {self.z_loss}; it must be at least 0 and below 1 (T5: 1e-4)")
        check_schedule(self)
        if self.country is not None and not re.fullmatch("[A-Z]{3}", self.country):
            raise ValueError(
                f"country is {self.country!r}; it must be three capital letters (ISO 3166-1 alpha-3), such as BRA"
            )

    def identity(self) -> dict[str, Any]:
        """The settings that decide the model's bytes, or what is recorded beside it, as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        unset = {name for name in _LATER if plain[name] == defaults[name]}
        return {name: value for name, value in plain.items() if name not in {*_NO_INFLUENCE, *unset}}
