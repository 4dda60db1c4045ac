"""Checks of bounds that several settings share."""

from __future__ import annotations


def at_least(name: str, value: int, bound: int) -> None:
    """Raises ValueError if a setting is below its bound."""
    if value < bound:
        raise ValueError(f"{name} is {value}; it must be at least {bound}")


def above_zero(name: str, value: float) -> None:
    """Raises ValueError if a setting isn't a positive, finite number."""
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name} is {value}; it must be above 0 and finite")
