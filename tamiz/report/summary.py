"""The data for the plots, by language and source. It is in histograms, so memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from corpora.documents.groups import source_of
from corpora.sampling.histogram import LogHistogram
from tamiz.report.grid import Grid
from tamiz.report.rows import Floats, ItemRows

QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Tally:
    """Counts of documents by perplexity, by length (num_tokens), and by both. Tallies can be added in any order."""

    perplexity: LogHistogram
    length: LogHistogram
    grid: Grid

    @staticmethod
    def of(perplexities: Floats, lengths: Floats) -> Tally:
        """Counts n documents. Both arguments are float64[n]."""
        return Tally(LogHistogram.of(perplexities), LogHistogram.of(lengths), Grid.of(perplexities, lengths))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.perplexity + other.perplexity, self.length + other.length, self.grid + other.grid)

    @property
    def documents(self) -> int:
        return int(self.perplexity.total)

    def quartiles(self) -> tuple[float, float, float]:
        """The quartiles of perplexity; there must be at least one document."""
        low, middle, high = (float(self.perplexity.quantile(q)) for q in QUARTILES)
        return low, middle, high


def no_documents() -> Tally:
    return Tally.of(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Group:
    """The documents of one language and source ("" if unknown). `after`: the kept ones; None without a sample."""

    language: str
    source: str
    before: Tally
    after: Tally | None

    @property
    def kept_share(self) -> float:
        return self.after.documents / self.before.documents if self.after and self.before.documents else 0.0


@dataclass(frozen=True)
class Summary:
    """Groups that have documents, largest first, ties by name; `total` is their sum."""

    groups: list[Group]
    total: Group

    @property
    def languages(self) -> list[str]:
        """The languages, those with most documents first."""
        return list(dict.fromkeys(g.language for g in self.groups))

    def language(self, language: str) -> Group:
        """All sources of a language as one group."""
        return _sum([g for g in self.groups if g.language == language], language)


def summarise(items: Iterable[ItemRows]) -> Summary:
    """Makes the summary in one pass over the scores."""
    found: dict[tuple[str, str], Group] = {}
    for item in items:
        for group in _groups(item):
            key = (group.language, group.source)
            found[key] = _sum([found[key], group], *key) if key in found else group
    groups = sorted(found.values(), key=lambda g: (-g.before.documents, g.language, g.source))
    return Summary(groups, _sum(groups))


def _groups(item: ItemRows) -> list[Group]:
    groups = []
    for code, language in enumerate(item.languages):
        mine = item.language == code
        if not mine.any():
            continue
        after = None
        if item.kept is not None:
            kept = mine & item.kept
            after = Tally.of(item.perplexities[kept], item.lengths[kept])
        before = Tally.of(item.perplexities[mine], item.lengths[mine])
        groups.append(Group(language, source_of(item.file), before, after))
    return groups


def _sum(groups: list[Group], language: str = "", source: str = "") -> Group:
    before, after = no_documents(), None
    for group in groups:
        before = before + group.before
        if group.after is not None:
            after = (after or no_documents()) + group.after
    return Group(language, source, before, after)
