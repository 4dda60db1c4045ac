"""For each place in the suffix order, two lengths of n-grams that end there, packed into one byte.

Twin: corpora.perplexity.ngram_counts.sort_text
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, kernel, prefetch
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.ngram_counts import BEGIN

Bytes = npt.NDArray[np.uint8]

_AHEAD = 24  # places: words are prefetched this far before they are compared


@inlined
def shared_of(packed: np.uint8) -> np.int64:
    """How many of its last words the longest n-gram here shares with the longest one at the place before."""
    return np.int64(packed & np.uint8(15))


@inlined
def longest_of(packed: np.uint8) -> np.int64:
    """Length of the longest n-gram that ends here: the model's order, or less near a sentence's start."""
    return np.int64(packed >> np.uint8(4))


@kernel
def compare_neighbours(
    text: Ids, positions: npt.NDArray[np.uint32], order: int, start: int, stop: int, packed: Bytes, next_words: Ids
) -> None:
    """Fills packed[start:stop] and next_words[start:stop] (the word after each position).

    A new last word must begin at `start`. The n-grams of orders shared + 1 .. longest are new at a place.
    """
    before = np.zeros(order, np.uint32)
    before_longest = 0
    for place in range(start, stop):
        prefetch(text, np.int64(positions[min(place + _AHEAD, stop - 1)]))
        position = positions[np.uint64(place)]
        longest = shared = 0
        equal = True
        while longest < order:
            word = np.uint32(text[position - np.uint32(longest)])
            equal = equal and longest < before_longest and word == before[longest]
            shared += equal
            before[longest] = word
            longest += 1
            if word == BEGIN:
                break
        before_longest = longest
        packed[np.uint64(place)] = np.uint8(shared | longest << 4)
        next_words[np.uint64(place)] = text[position + np.uint32(1)]
