"""Words by id: their strings in one array of bytes, and KenLM's hashes of them.

Twin: corpora.perplexity.kenlm_binary.murmur_hash
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.text.murmur import murmur

SPARE = 8  # bytes after the text in an array: words are read in blocks of 8


@dataclass(frozen=True)
class Vocabulary:
    """data: uint8, UTF-8, a NUL after every word, then SPARE bytes. ends: int64[n], past each word's NUL."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def hashes(self) -> npt.NDArray[np.uint64]:
        """uint64[n]: murmur hashes, which are the words' keys in KenLM's vocabulary."""
        return _hashes(self.data, self.ends)

    def strings(self) -> bytes:
        """All words, a NUL after each."""
        return self.data[: self.ends[-1]].tobytes()

    def words(self) -> list[str]:
        return self.strings().decode().split("\0")[:-1]

    def only(self, kept: npt.NDArray[np.int64]) -> Vocabulary:
        """The vocabulary of only the `kept` ids, which ascend."""
        if len(kept) == len(self):
            return self
        return Vocabulary(*_only(self.data, self.ends, kept))


def vocabulary_of(words: Sequence[bytes]) -> Vocabulary:
    data = b"".join(word + b"\0" for word in words) + bytes(SPARE)
    ends = np.cumsum(np.fromiter((len(word) + 1 for word in words), np.int64, len(words)))
    return Vocabulary(np.frombuffer(bytearray(data), np.uint8), ends)


@kernel
def _hashes(data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    found = np.empty(ends.shape[0], np.uint64)
    start = 0
    for word in range(ends.shape[0]):
        found[word] = murmur(data, start, ends[word] - 1 - start)
        start = ends[word]
    return found


@kernel
def _only(
    data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    found, found_ends = np.zeros(data.shape[0], np.uint8), np.empty(kept.shape[0], np.int64)
    filled = 0
    for number in range(kept.shape[0]):
        word = kept[number]
        for position in range(ends[word - 1] if word else 0, ends[word]):
            found[filled] = data[position]
            filled += 1
        found_ends[number] = filled
    return found[: filled + SPARE].copy(), found_ends
