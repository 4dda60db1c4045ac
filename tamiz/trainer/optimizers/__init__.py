"""Optimizers: one file each, named by `train.optimizer`.

base         what an optimizer is               groups        which parameters weight decay applies to
adamw        AdamW                              adafactor     T5's Adafactor
adamwscale   nanoT5's AdamW, whose steps are scaled by the size of the weights

To add one, subclass `Optimizer` and register an instance with `OPTIMIZERS.register`. Importing an optimizer doesn't
import torch: only `build` does, so that recipes can be checked without it.
"""

from __future__ import annotations

from corpora.choices import Choices
from tamiz.trainer.optimizers.base import Optimizer

__all__ = ["DEFAULT", "OPTIMIZERS", "Optimizer"]

DEFAULT = "adamw"
OPTIMIZERS: Choices[Optimizer] = Choices(
    "optimizer",
    "optimizer",
    {
        "adamw": "tamiz.trainer.optimizers.adamw:ADAMW",
        "adafactor": "tamiz.trainer.optimizers.adafactor:ADAFACTOR",
        "adamwscale": "tamiz.trainer.optimizers.adamwscale:ADAMWSCALE",
    },
)
