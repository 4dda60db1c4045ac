"""What a sample's manifest says of all items together: left by each item, summed exactly, in any order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from corpora.sampling.before_after import Histograms, sum_histograms
from corpora.sampling.quartiles import QuartileCounts
from corpora.sampling.sources import Count, SourceCounts

NAME = "totals"


class Totals(msgspec.Struct, kw_only=True):
    """groups: counts by group; perplexities: histograms by group; sources: counts by source."""

    groups: dict[str, QuartileCounts] = {}
    perplexities: dict[str, Histograms] = {}
    sources: dict[str, Count] = {}


def encode(totals: Totals) -> bytes:
    return msgspec.msgpack.encode(totals)


def summed(contents: Iterable[bytes]) -> Totals:
    """Memory: one item's, and the sums: a few hundred bytes per source."""
    total, sources = Totals(), SourceCounts()
    for content in contents:
        found = msgspec.msgpack.decode(content, type=Totals)
        for name, counts in found.groups.items():
            total.groups[name] = total.groups.get(name, QuartileCounts()) + counts
        total.perplexities = sum_histograms([total.perplexities, found.perplexities])
        sources.include(found.sources)
    total.sources = sources.counts
    return total


def merge(contents: Iterable[bytes]) -> bytes:
    return encode(summed(contents))
