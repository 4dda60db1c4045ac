"""Values of manifests and recipes as people write them: 10 min 39 s, 1.3 GB, 12.5%, 388f7d4c8b38…."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tamiz.console import size
from tamiz.report.html import checksum, joined

LONGEST = 200  # characters of a text; longer ones are not shown
MOST_VALUES = 8  # of a list
MOST_KEYS = 6  # of a table inside of a table
_CHECKSUM = re.compile(r"[0-9a-f]{32,64}")
# names of facts that don't explain themselves
_NAMES = {
    "bytes": "size of the text",
    "composition": "quartiles' share of the sample",
    "different": "encoded differently",
    "documents_cut": "documents cut short",
    "co2_kg": "CO2 equivalents, in kg",
    "energy_by": "energy measured by",
    "energy_cpu_kwh": "energy of the processor",
    "energy_estimated": "processor's energy estimated, not measured",
    "energy_gpu_kwh": "energy of the GPU",
    "energy_interruptions": "times continued; the energy lost isn't counted",
    "energy_joules_per_token": "energy for an id read, in J",
    "energy_kwh": "energy",
    "energy_ram_kwh": "energy of the memory, estimated",
    "energy_seconds": "energy measured over",
    "expected_share": "kept share, expected",
    "extra_ids": "sentinels",
    "initial_validation_loss": "validation loss before the first step",
    "kept_shares": "kept share of each quartile",
    "label_length": "ids of the labels",
    "per": "drawn per",
    "pieces": "pieces learned",
    "quartiles": "quartiles of the perplexity",
    "raw_length": "ids of the text in a row",
    "scored": "documents scored",
    "self_check": "compared with AutoTokenizer",
    "sequence_length": "ids in a row",
    "seconds": "time",
    "target_unigram_entropy_nats": "entropy of the training targets' unigrams",
    "tokens": "ids read",
    "validation_loss": "validation loss after the last step",
    "vocab_size": "ids in the vocabulary",
    "window_groups": "row groups shuffled together",
    "with_special_strings": "with text that looks like a special token",
}
_UNITS = ("_bytes", "_seconds", "_nats")


def name_of(key: str) -> str:
    """The name of a fact or setting, in words."""
    if key in _NAMES:
        return _NAMES[key]
    for unit in _UNITS:
        key = key.removesuffix(unit)
    return key.replace("_", " ").replace("sha256", "(sha256)")


def text_of(key: str, value: Any) -> str | None:
    """A value with its unit, which follows from its key; None for what is too large to show."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(key, value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return _list(key, value)
    return _table(value) if isinstance(value, Mapping) else None


def duration(seconds: float) -> str:
    """4.2 s, 10 min 39 s, 3 h 5 min, 2 d 4 h."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"


def percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _number(key: str, value: float) -> str:
    if key == "seconds" or key.endswith("_seconds"):
        return duration(value)
    if key == "bytes" or key.endswith(("_bytes", "bytes_seen")):
        return size(value)
    if key.endswith("_kwh"):
        return f"{value:.3g} kWh"
    if key.endswith(("_share", "_shares")) or key == "composition":
        return percent(value)
    unit = " nats" if key.endswith(("_nats", "loss")) else ""
    return f"{value:,}{unit}" if isinstance(value, int) else f"{value:,.4g}{unit}"


def _text(value: str) -> str | None:
    if _CHECKSUM.fullmatch(value):
        return checksum(value)
    return value if len(value) <= LONGEST else None


def _list(key: str, values: list[Any] | tuple[Any, ...]) -> str | None:
    if not values or len(values) > MOST_VALUES or isinstance(values[0], list | tuple | Mapping):
        return None
    shown = [text_of(key, value) for value in values]
    return joined(" / ", [text for text in shown if text is not None])


def _table(value: Mapping[str, Any]) -> str | None:
    if not 0 < len(value) <= MOST_KEYS or any(isinstance(v, list | Mapping) for v in value.values()):
        return None
    shown = [(name_of(key), text_of(key, v)) for key, v in value.items()]
    return joined(", ", [joined(" ", (name, text)) for name, text in shown if text is not None])
