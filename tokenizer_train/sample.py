"""The documents that a tokenizer learns from: a keyed draw of bounded size, in one pass and bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from corpora.randomness import digest

LARGEST_SHARE = 32  # one document contributes at most 1/32 of sample_bytes


@dataclass
class Sample:
    """The documents drawn, sorted by key, so independent of the input order.

    seen, seen_bytes: count all documents. cut: drawn documents of which only the beginning is used.
    """

    texts: list[str] = field(default_factory=list)
    seen: int = 0
    seen_bytes: int = 0
    used_bytes: int = 0
    cut: int = 0


def draw(documents: Iterable[str], *, seed: int, most: int | None, most_bytes: int) -> Sample:
    """The documents with the smallest keys (of seed and text), within the bounds; a long document is cut short."""
    sample, largest = Sample(), max(most_bytes // LARGEST_SHARE, 1)
    heap: list[tuple[int, bytes, bool]] = []  # the largest key first
    bound = -(1 << 128)
    for text in documents:
        data = text.encode()
        sample.seen += 1
        sample.seen_bytes += len(data)
        key = -digest(seed, "tokenizer", data)
        if key <= bound:
            continue
        heapq.heappush(heap, (key, data[:largest], len(data) > largest))
        sample.used_bytes += min(len(data), largest)
        while sample.used_bytes > most_bytes or len(heap) > (most or len(heap)) or (heap and heap[0][0] <= bound):
            bound, dropped, _ = heapq.heappop(heap)
            sample.used_bytes -= len(dropped)
    heap.sort(reverse=True)
    sample.texts = [data.decode(errors="ignore") for _, data, _ in heap]
    sample.cut = sum(cut for _, _, cut in heap)
    return sample
