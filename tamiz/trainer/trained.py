"""The results of a training, for the model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.settings import TrainSettings

if TYPE_CHECKING:
    from tamiz.trainer.inputs import Inputs

Metrics = dict[str, Any]
SCRATCH = "pretrained from scratch"  # as families describe their models


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

    @property
    def origin(self) -> str:
        """Where its weights come from, in words that follow "a model of 7 parameters"; without a folder's path."""
        init = self.settings.init
        return (
            SCRATCH
            if init is None
            else f"trained on from the weights of {Path(init).name if Path(init).is_dir() else init}"
        )


Card = Callable[[Trained], str]
"""Returns the text of README.md."""
