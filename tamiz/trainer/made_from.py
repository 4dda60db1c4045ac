"""What a training is made from: a checkpoint must have the same to be continued."""

from __future__ import annotations

from typing import Any

from tamiz.trainer import warm_start
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.inputs import Inputs
from tamiz.trainer.settings import TrainSettings

# of the steps: another number gives other bits. 2: chunks of logits, fused AdamW, products by AMX; 3: no denormals
ARITHMETIC = 3


def made_from(inputs: Inputs, model: ModelSettings, settings: TrainSettings) -> dict[str, Any]:
    """A flat dict of everything that decides the model's bytes: a checkpoint must have the same."""
    plain = {f"model.{name}": value for name, value in model.identity().items()}
    plain |= {f"train.{name}": value for name, value in settings.identity().items()}
    if settings.init is not None:
        plain["init"] = warm_start.digest(settings.init)
    return plain | {
        "arithmetic": ARITHMETIC,
        "shards": inputs.fingerprint,
        "tokenizer": inputs.facts.tokenizer_sha256,
    }
