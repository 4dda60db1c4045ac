"""MFU: the share of a GPU's arithmetic that a training uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from corpora.tokens.facts import ShardFacts
from tamiz.trainer.cost import WITH_ATTENTION, cost

if TYPE_CHECKING:
    from tamiz.trainer.families.base import ModelSettings

# dense bfloat16 operations in a second, in units of 10**12, by NVIDIA's data sheets; the first that fits counts
_PEAKS = (
    (r"G?H200", 989.4), (r"H100 PCIe", 756.0), (r"H100 NVL", 835.0), (r"H100", 989.4), (r"A100", 312.0),
    (r"L40S", 362.0), (r"L4", 121.0), (r"A10", 125.0),
)  # fmt: skip


def peak_flops(device_name: str) -> float | None:
    """Operations in a second of a GPU by its name; None if it isn't known, or is a part of a GPU."""
    if "MIG" in device_name:
        return None
    return next((peak * 1e12 for name, peak in _PEAKS if re.search(rf"\b{name}\b", device_name)), None)


class Utilisation:
    """The MFU of a speed. On a CPU, on a GPU whose peak isn't known, and in float32: None."""

    def __init__(
        self, family: ModelSettings, facts: ShardFacts, device: torch.device, *, bfloat16: bool, processes: int
    ) -> None:
        known = device.type == "cuda" and bfloat16
        peak = peak_flops(torch.cuda.get_device_name(device)) if known else None
        self._per_token: float | None = None
        if peak is None:
            return
        ids, targets = family.ids_per_row(facts), facts.label_length or 0
        flops = cost(family, ids - targets, targets).flops[WITH_ATTENTION]
        self._per_token = flops / ids / (peak * processes)

    def of(self, tokens_per_second: float) -> float | None:
        return None if self._per_token is None else tokens_per_second * self._per_token
