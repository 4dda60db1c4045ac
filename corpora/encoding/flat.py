"""Texts and ids of many documents in one buffer each: what encoders take and give on the hot path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Utf8(NamedTuple):
    """Text k is data[offsets[k]:offsets[k + 1]], valid UTF-8. uint8[bytes], int64[texts + 1]."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]


class FlatIds(NamedTuple):
    """Text k's ids are ids[offsets[k]:offsets[k + 1]]: id_dtype(vocab_size)[ids], int64[texts + 1] from 0 on."""

    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]


def id_dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """uint16 up to 65,535 ids, uint32 from 65,536 up."""
    return np.dtype(np.uint16) if vocab_size < 1 << 16 else np.dtype(np.uint32)


def utf8(texts: Sequence[str]) -> Utf8:
    """Texts joined. Raises UnicodeEncodeError for a lone surrogate, which no reader lets through."""
    encoded = [text.encode() for text in texts]
    return Utf8(np.frombuffer(b"".join(encoded), np.uint8), offsets_of(map(len, encoded), len(encoded)))


def offsets_of(lengths: Iterable[int], count: int) -> NDArray[np.int64]:
    """int64[count + 1] from the lengths of `count` parts."""
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, count), out=offsets[1:])
    return offsets


def texts_of(joined: Utf8) -> list[str]:
    """The texts as Python strings."""
    first, last = int(joined.offsets[0]), int(joined.offsets[-1])
    data, ends = joined.data[first:last].tobytes(), (joined.offsets - first).tolist()
    return [data[start:stop].decode() for start, stop in pairwise(ends)]


def flat_ids(parts: Sequence[NDArray[np.integer]], dtype: DTypeLike) -> FlatIds:
    """One array of ids a text, joined."""
    joined = np.concatenate([np.empty(0, dtype), *(part.astype(dtype, copy=False) for part in parts)])
    return FlatIds(joined, offsets_of(map(len, parts), len(parts)))
