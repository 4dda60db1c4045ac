"""What share of each source is kept: a sampler may leave out whole genres, and the quartiles don't show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from corpora.sampling.histogram import Floats
from corpora.sampling.quartiles import UNITS, is_lost, lost_text

MOST = 2_000  # sources that one work item counts by name; the others are counted together
SHOWN = 100  # sources in a manifest
OTHERS = "(others)"

Count = tuple[int, int, int]  # documents, sum of keep probabilities x 2**36, kept


class SourceCounts:
    """Counts by source of the documents that take part in the draw. They add up exactly, in any order."""

    def __init__(self, counts: Mapping[str, Sequence[int]] | None = None) -> None:
        self.counts: dict[str, Count] = {name: (n, e, k) for name, (n, e, k) in (counts or {}).items()}

    @classmethod
    def sum(cls, parts: Iterable[Mapping[str, Sequence[int]]]) -> Self:
        total = cls()
        for part in parts:
            total.include(part)
        return total

    def include(self, part: Mapping[str, Sequence[int]]) -> None:
        """Adds the counts of another part."""
        for name, count in part.items():
            self._add(name, *count)

    def add(self, names: Sequence[str], probability: Floats, kept: npt.NDArray[np.bool_]) -> None:
        """n documents: the source, the keep probability, and whether it was kept."""
        if not names:
            return
        units = np.rint(probability * UNITS).astype(np.int64)
        if names[0] == names[-1] and len(set(names)) == 1:
            self._add(names[0], len(names), int(units.sum()), int(kept.sum()))
            return
        known, places = np.unique(np.array(names, np.object_), return_inverse=True)
        sums = np.zeros((3, len(known)), np.int64)
        np.add.at(sums[0], places, 1)
        np.add.at(sums[1], places, units)
        np.add.at(sums[2], places, kept)
        for name, count in zip(known.tolist(), sums.T.tolist(), strict=True):
            self._add(name, *count)

    def _add(self, name: str, documents: int, expected: int, kept: int) -> None:
        n, e, k = self.counts.get(name, (0, 0, 0))
        self.counts[name] = (n + documents, e + expected, k + kept)

    def largest(self, most: int = MOST) -> dict[str, Count]:
        """The sources with the most documents, ties by name; the others together, under OTHERS."""
        ordered = self._ordered()
        rest = [self.counts[name] for name in ordered[most:]]
        others = {OTHERS: tuple(map(sum, zip(*rest, strict=True)))} if rest else {}
        return {**{name: self.counts[name] for name in ordered[:most]}, **others}  # type: ignore[dict-item]

    def _ordered(self) -> list[str]:
        return sorted(self.counts, key=lambda name: (name == OTHERS, -self.counts[name][0], name))

    def lost(self, of_all: float, advice: str) -> list[str]:
        """A line with the advice for each source of which next to nothing is kept, though `of_all` is kept in all."""
        if len(self.counts) < 2:
            return []
        return [
            f"of the source {name} ({n:,} documents), {lost_text(_share(e, n))}; {advice}"
            for name in self._ordered()
            for n, e, _ in [self.counts[name]]
            if name != OTHERS and is_lost(_share(e, n), n, of_all)
        ]

    def facts(self) -> dict[str, Any]:
        """For the manifest: the largest sources."""
        return {
            name: {"documents": n, "kept": k, "expected_share": _share(e, n)}
            for name, (n, e, k) in self.largest(SHOWN).items()
        }


def _share(expected: int, documents: int) -> float:
    return expected / UNITS / documents if documents else 0.0
