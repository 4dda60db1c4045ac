"""Positions of a text in suffix order: by the word there, then the word before it, up to the model's order.

Twin: corpora.perplexity.ngram_counts.sort_text
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.ngram_counts import BEGIN

Ids = npt.NDArray[Any]  # uint16 or uint32
Places = npt.NDArray[np.int64]
Positions = npt.NDArray[np.uint32]

_SLICE = 1 << 24  # positions sorted at once, unless a word is more frequent


def run(pool: ThreadPoolExecutor, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The results of `function` for each of `calls`, in order, computed by the pool's threads."""
    return [future.result() for future in [pool.submit(function, *call) for call in calls]]


def word_starts(pool: ThreadPoolExecutor, text: Ids, order: int, words: int, threads: int) -> Places:
    """int64[words + 1]: where the positions of each word begin in suffix order.

    text: `order` times `<s>`, the text, and one `<s>` behind it; only positions in the text itself count.
    """
    borders = np.linspace(order, len(text) - 1, threads + 1).astype(np.int64)
    found = run(pool, _histogram, [(text, a, b, words) for a, b in pairwise(borders.tolist())])
    return np.concatenate([[0], np.cumsum(np.sum(found, axis=0))])


@kernel
def _histogram(text: Ids, start: int, stop: int, words: int) -> Places:
    counts = np.zeros(words, np.int64)
    for position in range(np.uint64(start), np.uint64(stop)):
        counts[text[position]] += 1
    return counts


def sort_positions(
    pool: ThreadPoolExecutor, text: Ids, order: int, starts: Places, threads: int, scratch: Scratch
) -> Positions:
    """All positions of the text in suffix order, uint32[n]; equal n-grams in the order of the text.

    Sorted in slices of last words, which are independent; their number doesn't change the result. Words before a
    sentence's `<s>` are compared too, but only decide between equal n-grams.
    """
    number = int(starts[-1])
    positions, others = scratch.array(number, np.uint32), scratch.array(number, np.uint32)
    found = scratch.array(number, text.dtype)
    slices = max(4 * threads, -(-number // _SLICE))
    calls = []
    for first, end in pairwise(word_borders(starts, slices).tolist()):
        part = slice(starts[first], starts[end])
        calls.append((text, len(starts) - 1, first, end, order, positions[part], others[part], found[part]))
    run(pool, _sort_slice, calls)
    scratch.release(others, found)
    return positions


def word_borders(starts: Places, parts: int) -> npt.NDArray[np.int64]:
    """Word ids that cut the suffix order into at most `parts` parts of similar size, both ends included."""
    aims = np.linspace(0, starts[-1], parts + 1)[1:-1]
    inner = np.clip(np.searchsorted(starts, aims), BEGIN, len(starts) - 1)
    return np.unique(np.concatenate([[BEGIN], inner, [len(starts) - 1]]))


@kernel
def _sort_slice(
    text: Ids,
    words: int,
    first_word: int,
    end_word: int,
    order: int,
    positions: Positions,
    other: Positions,
    found: Ids,
) -> None:
    """Fills `positions` with those of the words first_word .. end_word - 1: a stable counting sort per word back.

    other, found: scratch memory as long as `positions`.
    text: `order` words that are not positions come before it, one after it.
    """
    number = positions.shape[0]
    source, target = (other, positions) if order % 2 else (positions, other)
    filled = np.uint64(0)
    for position in range(np.uint64(order), np.uint64(text.shape[0] - 1)):
        if first_word <= text[position] < end_word:
            source[filled] = position
            filled += np.uint64(1)
    starts = np.empty(words + 1, np.int64)
    for back in range(order - 1, -1, -1):
        starts[:] = 0
        for i in range(np.uint64(number)):
            word = text[source[i] - np.uint32(back)]
            found[i] = word
            starts[np.uint64(word) + np.uint64(1)] += 1
        for word in range(1, starts.shape[0]):
            starts[word] += starts[word - 1]
        for i in range(np.uint64(number)):
            word = found[i]
            target[starts[word]] = source[i]
            starts[word] += 1
        source, target = target, source
