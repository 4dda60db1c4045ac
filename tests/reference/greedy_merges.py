"""Byte-pair merges as they are defined: the slow twin of `corpora.encoding.cache.bpe_merges`."""

from __future__ import annotations

from itertools import pairwise


def merge(symbols: list[int], ranks: dict[tuple[int, int], int], merged: list[int]) -> list[int]:
    """While a pair has a rank, the leftmost of those of the lowest becomes `merged[rank]`."""
    symbols = list(symbols)
    while True:
        found = [(ranks[pair], place) for place, pair in enumerate(pairwise(symbols)) if pair in ranks]
        if not found:
            return symbols
        rank, place = min(found)
        symbols[place : place + 2] = [merged[rank]]
