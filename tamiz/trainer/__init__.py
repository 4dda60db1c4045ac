"""Trains models from packed shards. The only package that imports torch.

families/       what models there are: one file each
settings.py     how a model is trained
train.py        the loop; steps.py one step of it; checkpoint.py, schedule.py, device.py, progress.py what it uses
dataset.py      batches of rows as tensors, in an order that no interruption changes
inputs.py       shards, tokenizer and model that fit together
export.py       the folder that transformers loads; trained.py what a card may say of it
generation.py   text from a trained model
finetune.py     an example: a trained T5 learns to classify texts

Families and settings import no torch, so that recipes can name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamiz.trainer.dataset import ShardDataset

__all__ = ["ShardDataset"]


def __getattr__(name: str) -> object:
    """Imports torch only when a name that needs it is used (PEP 562)."""
    if name == "ShardDataset":
        from tamiz.trainer.dataset import ShardDataset

        return ShardDataset
    raise AttributeError(f"module 'tamiz.trainer' has no attribute {name!r}")
