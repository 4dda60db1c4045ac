"""What a training ends with, for whoever describes the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.settings import TrainSettings

if TYPE_CHECKING:
    from tamiz.trainer.inputs import Inputs

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    inputs: Inputs
    """Shards and tokenizer."""
    model: ModelSettings
    """The model's shape."""
    settings: TrainSettings
    """How it was trained."""
    metrics: Metrics
    """The content of metrics.json."""


Card = Callable[[Trained], str]
"""Makes the text of README.md."""
