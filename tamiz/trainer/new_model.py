"""The model that a training starts from, on the CPU."""

from __future__ import annotations

from typing import Any

from tamiz.trainer import warm_start
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.inputs import Inputs
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.vocabulary_rows import padded_rows, set_rows


def new_model(inputs: Inputs, family: ModelSettings, settings: TrainSettings, *, warm: bool) -> Any:
    """Random weights, or with `warm` those of settings.init if it names a model; with the rows that
    settings.pad_vocabulary_to adds to the vocabulary."""
    facts = inputs.facts
    built = family.build(seed=settings.seed, pad_id=facts.pad_id, eos_id=facts.eos_id, bos_id=inputs.bos_id)
    if warm and settings.init is not None:
        warm_start.load(built, family, settings.init)
    rows = padded_rows(family.vocab_size, settings.pad_vocabulary_to)
    if rows != family.vocab_size:
        set_rows(built, rows)
    return built


def finished(model: Any, family: ModelSettings, settings: TrainSettings) -> Any:
    """The model without rows that padded its vocabulary."""
    if settings.pad_vocabulary_to > 1:
        set_rows(model, family.vocab_size)
    return model
