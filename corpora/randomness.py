"""Random choices keyed by identity: never by worker, order, bundle or clock."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xxhash
from numpy.typing import NDArray

Part = str | bytes | int | None


def _encode(part: Part) -> bytes:
    """One tagged, length-prefixed field, so that no two tuples share a message; None differs from ''."""
    if part is None:
        return b"n"
    if isinstance(part, int):
        return b"i%d;" % part
    data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    return b"s%d:" % len(data) + data


def digest(seed: int, purpose: str, *identity: Part) -> int:
    """128 bits of xxh3 over (seed, purpose, identity)."""
    message = b"".join(_encode(part) for part in (seed, purpose, *identity))
    return xxhash.xxh3_128_intdigest(message)


def uniform(seed: int, purpose: str, *identity: Part) -> float:
    """A draw from [0, 1): the top 53 bits of the digest / 2**53."""
    return (digest(seed, purpose, *identity) >> 75) / float(1 << 53)


def text_uniforms(
    seed: int, purpose: str, data: NDArray[np.uint8], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`uniform(seed, purpose, text)` for each text data[offsets[k]:offsets[k + 1]], without copying it."""
    begun = xxhash.xxh3_128(_encode(seed) + _encode(purpose))
    view, ends = memoryview(data.data), offsets.tolist()
    draws = np.empty(len(ends) - 1, np.float64)
    for number, (start, stop) in enumerate(pairwise(ends)):
        state = begun.copy()
        state.update(b"s%d:" % (stop - start))
        state.update(view[start:stop])
        draws[number] = (state.intdigest() >> 75) / float(1 << 53)
    return draws


GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64's


def keys(base: int, first: int, count: int) -> NDArray[np.uint64]:
    """uint64[count]: keys of the elements first, first + 1, ... of what `base` (a digest) identifies."""
    state = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(GOLDEN) + np.uint64(base % 2**64)
    return mixed(state)


def mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function: every bit of the result depends on every bit of the state."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(MIX_1)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(MIX_2)
    return state ^ (state >> np.uint64(31))
