"""KenLM's hash of a word, compiled: MurmurHash64A with seed 0 (util/murmur_hash.cc).

Twin: corpora.perplexity.kenlm_binary.murmur_hash
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, load_uint64

FACTOR = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)


@inlined
def murmur(data: npt.NDArray[np.uint8], start: int, length: int) -> np.uint64:
    """The hash of data[start:start + length]; `data` has at least 8 more bytes."""
    value = np.uint64(length) * FACTOR
    position = start
    while position + 8 <= start + length:
        block = load_uint64(data, position) * FACTOR
        block = (block ^ (block >> _SHIFT)) * FACTOR
        value = (value ^ block) * FACTOR
        position += 8
    rest = start + length - position
    if rest:
        mask = (np.uint64(1) << np.uint64(8 * rest)) - np.uint64(1)
        value = (value ^ (load_uint64(data, position) & mask)) * FACTOR
    value = (value ^ (value >> _SHIFT)) * FACTOR
    return value ^ (value >> _SHIFT)
