"""Slow, readable twins of corpora/rows/mixture.py, in exact fractions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, floor


def by_keys(counts: Sequence[int]) -> list[int]:
    """The source of each position: rows sorted by (k + 1/2) / n_d, ties by source."""
    rows = [(Fraction(2 * k + 1, 2 * count), source) for source, count in enumerate(counts) for k in range(count)]
    return [source for _, source in sorted(rows)]


def by_deadlines(counts: Sequence[int]) -> list[int]:
    """The source of each position: among the rows that may come there, that with the earliest deadline."""
    total, taken, order = sum(counts), [0] * len(counts), []
    for position in range(total):
        may = [
            (ceil(Fraction((taken[source] + 1) * total, count)), source)
            for source, count in enumerate(counts)
            if taken[source] < count and floor(Fraction(taken[source] * total, count)) <= position
        ]
        order.append(min(may)[1])
        taken[order[-1]] += 1
    return order


def places(order: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(source, row, the source's epoch) of each position, epoch after epoch of the mixture, without end."""
    read = [0] * len(sizes)
    while True:
        for source in order:
            yield source, read[source] % sizes[source], read[source] // sizes[source]
            read[source] += 1


def largest_remainder(weights: Sequence[float], rows: int) -> list[int]:
    """Whole rows, then one more for the largest remainders, one by one."""
    total = sum(map(Fraction, weights))
    quotas = [Fraction(weight) * rows / total for weight in weights]
    counts = [floor(quota) for quota in quotas]
    while sum(counts) < rows:
        behind = max(range(len(quotas)), key=lambda d: (quotas[d] - counts[d], -d))
        counts[behind] += 1
    return counts
