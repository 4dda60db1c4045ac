"""The draws of `corpora.tokens.span_kernels`, one integer at a time: the slow twin."""

from __future__ import annotations

from itertools import pairwise

GOLDEN, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def mixed(state: int) -> int:
    """SplitMix64's output function (Steele, Lea, Flood, 2014)."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


class Draws:
    """Numbers below a bound, in the order of the kernel."""

    def __init__(self, key: int) -> None:
        self.state = key

    def below(self, bound: int) -> int:
        self.state = (self.state + GOLDEN) & MASK
        return (mixed(self.state) * bound) >> 64


def segments(draws: Draws, items: int, count: int) -> list[int]:
    """Floyd's algorithm picks count - 1 of the items - 1 places between items."""
    cuts: set[int] = set()
    for top in range(items - count, items - 1):
        place = draws.below(top + 1)
        cuts.add(top if place in cuts else place)
    ends = [0, *(place + 1 for place in sorted(cuts)), items]
    return [b - a for a, b in pairwise(ends)]


def mask(key: int, length: int, noise: int, spans: int, rolls: bool) -> list[bool]:
    draws = Draws(key)
    noise_lengths = segments(draws, noise, spans)
    kept_lengths = segments(draws, length - noise, spans)
    found: list[bool] = []
    for kept, masked in zip(kept_lengths, noise_lengths, strict=True):
        found += [False] * kept + [True] * masked
    return rolled(found, draws.below(length - noise + spans)) if rolls else found


def rolled(found: list[bool], number: int) -> list[bool]:
    """Begins at the number-th place that is kept, or where a span begins."""
    starts = [i for i, masked in enumerate(found) if not masked or (i > 0 and not found[i - 1])]
    first = starts[number]
    return found[first:] + found[:first]


def keys(base: int, first: int, count: int) -> list[int]:
    return [mixed((base + GOLDEN * (number + 1)) & MASK) for number in range(first, first + count)]


def labels(tokens: list[int], found: list[bool], vocab_size: int, eos_id: int) -> list[int]:
    """Each span behind its sentinel. T5's own targets, unless the mask is rolled: these then begin with a bare span,
    or end with a sentinel of no span."""
    out: list[int] = []
    sentinel, before = vocab_size, False
    for token, masked in zip(tokens, found, strict=True):
        if masked and not before:
            sentinel -= 1
            out.append(sentinel)
        if masked:
            out.append(token)
        before = masked
    return [*out, eos_id]
