"""Random choices keyed by identity: never by worker, order, bundle or clock."""

from __future__ import annotations

import numpy as np
import xxhash

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


def generator(seed: int, purpose: str, *identity: Part) -> np.random.Generator:
    """A PCG64 stream of its own for one identity."""
    return np.random.Generator(np.random.PCG64(digest(seed, purpose, *identity)))
