"""Trains models from packed shards. The only package that imports torch.

families/       the model families, one file each
optimizers/     the optimizers, one file each
settings.py     how a model is trained
train.py        the training loop; steps.py is one step; before.py says what it takes; checkpoint.py, schedule.py,
                device.py, history.py, signals.py help it
watching.py     what people watch: lines (progress.py), curves for TensorBoard (tensorboard.py, utilisation.py)
early_stopping.py  when a training ends before its last step, and its best weights
first_batch.py  what the first batch shows; bad_batches.py: those whose loss isn't finite
energy.py       energy by component; energy_meter.py measures it with energy_sources.py
ranks.py        several processes, as torchrun starts them; grace.py: how they end; parallel.py: how the
                model lies on them (DDP, FSDP); state.py: its state, in and out of a checkpoint
dataset.py      batches of rows as tensors, in an order that interruptions don't change
inputs.py       checks that shards, tokenizer and model fit together
export.py       writes the folder that transformers loads, with tokenizer_copy.py and curve.py; trained.py holds the
                facts for the model card
generation.py   text from a trained model
finetune.py     an example: fine-tunes a trained T5 to classify texts

Families and settings don't import torch, so that recipes can be read without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamiz.trainer.dataset import ShardDataset

__all__ = ["ShardDataset", "require_torch"]


def require_torch(*packages: str) -> None:
    """Raises BadArgument if one of the packages (default: torch and transformers) is not installed."""
    from importlib.util import find_spec

    from corpora import extras
    from corpora.errors import BadArgument

    for package in packages or ("torch", "transformers"):
        if find_spec(package) is None:
            raise BadArgument(f"models need {package}, which is not installed: run {extras.line('train')}")


def __getattr__(name: str) -> object:
    """Imports torch only when a name that needs it is used (PEP 562)."""
    if name == "ShardDataset":
        require_torch("torch")
        from tamiz.trainer.dataset import ShardDataset

        return ShardDataset
    raise AttributeError(f"module 'tamiz.trainer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
