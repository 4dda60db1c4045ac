"""Weights by hand."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

from corpora.rows.mixing.base import Available, MixtureSettings, normalised


class WeightsSettings(MixtureSettings, frozen=True, kw_only=True, tag="weights"):
    """Weights by hand."""

    weights: dict[str, float]
    """A number above 0 for each source, by its name in [[documents]]. They needn't add up to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.weights:
            raise ValueError("weights is empty: give each source of documents a number")
        for name, weight in self.weights.items():
            if not 0 < weight < math.inf:
                raise ValueError(f"weights.{name} is {weight}; it must be above 0 and finite")

    def check_names(self, names: Iterable[str]) -> None:
        known = list(names)
        for name in self.weights:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"
                raise ValueError(f"mixture.weights.{name}: no [[documents]] have this name; {hint}")
        for name in known:
            if name not in self.weights:
                raise ValueError(f"mixture.weights.{name} is missing: give the documents {name!r} a number above 0")

    def shares(self, available: Mapping[str, Available], rows: int) -> dict[str, float]:  # noqa: ARG002
        return normalised({name: self.weights[name] for name in available})
