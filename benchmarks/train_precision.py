"""What trainings compute with: the peer of `benchmarks.train` computes with the same as tamiz."""

from __future__ import annotations

import torch

from tamiz.trainer import device as devices
from tamiz.trainer.device import uses_bfloat16
from tamiz.trainer.settings import TrainSettings

FLOAT32, BFLOAT16, PRODUCTS = "float32", "bfloat16", "float32, products in bfloat16"


def matmul_precision(settings: TrainSettings, device: torch.device) -> str:
    """How tamiz has torch multiply matrices of float32, in torch's words: `medium` rounds to bfloat16 on a CPU. A
    version without this choice leaves torch's default."""
    chosen = getattr(devices, "matmul_precision", None)
    return "highest" if chosen is None else str(chosen(settings, device))


def precision_of(settings: TrainSettings, device: torch.device) -> str:
    """In words, of tamiz's training with these settings."""
    if uses_bfloat16(settings, device):
        return BFLOAT16
    rounds = device.type == "cpu" and matmul_precision(settings, device) == "medium"
    return PRODUCTS if rounds else FLOAT32
