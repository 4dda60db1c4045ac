"""Which split a document belongs to: keyed by its text alone, before packing."""

from __future__ import annotations

from corpora.randomness import uniform

SPLITS = ("train", "validation")


def is_validation(text: str, fraction: float, seed: int = 0) -> bool:
    """True for `fraction` of all distinct texts. The same text under two URLs falls on one side."""
    return fraction > 0.0 and uniform(seed, "validation", text) < fraction
