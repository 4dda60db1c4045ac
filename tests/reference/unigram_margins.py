"""The best pieces of one word and the limit on the line's score, by dictionaries: twin of `unigram_viterbi`.

Follows the bound as it is written there, one claim after the other; scores are exact.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import frexp, inf

WINDOW = Fraction(1, 8)


def best_and_limit(word: str, scores: dict[str, float], unknown: float) -> tuple[list[str], float]:
    """`word` begins with `▁`. Pieces (unknown characters one by one), and the limit where sums are not exact."""
    edges = {end: list(_edges(word, end, scores, unknown)) for end in range(1, len(word) + 1)}
    cuts = [c for c in range(len(word) + 1) if not any(i < c < end for end in edges for i, _ in edges[end])]
    pieces: list[str] = []
    limit, before = inf, Fraction(0)
    for cut, next_cut in pairwise(cuts):
        found, score, bound = _between(cut, next_cut, edges)
        pieces += [word[a:b] for a, b in found]
        limit = min(limit, float(bound - before))
        before -= score
    return pieces, limit


def _edges(word: str, end: int, scores: dict[str, float], unknown: float):
    for start in range(end):
        if word[start:end] in scores:
            yield start, Fraction(scores[word[start:end]])
        elif start == end - 1:
            yield start, Fraction(unknown)


def _between(cut: int, stop: int, edges: dict[int, list[tuple[int, Fraction]]]):
    best, additions, origin, margin, worst = {cut: Fraction(0)}, {cut: 0}, {}, {}, Fraction(0)
    for j in range(cut + 1, stop + 1):
        offered = [(best[i] + score, i) for i, score in edges[j]]
        worst = max([worst, *(-score for score, _ in offered)])
        best[j] = max(score for score, _ in offered)
        origin[j] = next(i for score, i in offered if score == best[j])
        margin[j] = min([best[j] - score for score, i in offered if i != origin[j]], default=None)
        additions[j] = 1 + max(additions[i] for score, i in offered if best[j] - score <= WINDOW)
    path = [stop]
    while path[-1] != cut:
        path.append(origin[path[-1]])
    contested = [j for j in path[:-1] if margin[j] is not None]
    by_additions = min((margin[j] / (2 * additions[j]) for j in contested), default=Fraction(1))
    by_characters = min((margin[j] / (2 * (j - cut)) for j in contested), default=Fraction(1))
    bound = max(min(_below(by_additions), _below(WINDOW / (2 * (stop - cut)))), _below(by_characters))
    return list(zip(path[:0:-1], path[-2::-1], strict=True)), best[stop], bound / Fraction(1.01) - worst


def _below(error: Fraction) -> Fraction:
    """The largest power of 2 such that rounding a smaller number to float32 changes it by less than `error`."""
    return Fraction(2) ** (24 + frexp(float(min(error, Fraction(1))) * 0.999)[1]) if error else Fraction(0)
