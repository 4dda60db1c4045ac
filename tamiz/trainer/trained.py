"""The results of a training, for the model card."""

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
    """The shards and the tokenizer."""
    model: ModelSettings
    """The shape of the model."""
    settings: TrainSettings
    """The settings of the training."""
    metrics: Metrics
    """The content of metrics.json."""


Card = Callable[[Trained], str]
"""Returns the text of README.md."""
