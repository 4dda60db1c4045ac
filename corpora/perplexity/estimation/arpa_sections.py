"""An ARPA file beside the binary, written from the same arrays, order after order.

Twin: corpora.perplexity.arpa.write_arpa
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel
from corpora.perplexity.arpa import PART, Block, new_arpa_file
from corpora.perplexity.estimation.contexts import BACKOFF, Floats
from corpora.perplexity.estimation.counts import PRUNED, Counts
from corpora.perplexity.estimation.levels import Level
from corpora.perplexity.estimation.neighbours import Bytes, longest_of, shared_of
from corpora.perplexity.estimation.suffixes import Suffixes
from corpora.perplexity.estimation.tables import log10_backoff, log10_probability
from corpora.perplexity.estimation.vocabulary import Vocabulary


@contextmanager
def arpa_sections(
    path: str | Path, suffixes: Suffixes, counts: Sequence[int], vocabulary: Vocabulary
) -> Iterator[Callable[[Level, Floats], None]]:
    """Yields a function that writes the next order. The file appears at `path` if the block succeeds."""
    with new_arpa_file(path, counts, vocabulary.words()) as file:
        yield lambda level, weights: file.write_section(level.order, _blocks(suffixes, level, weights))


def _blocks(suffixes: Suffixes, level: Level, weights: Floats) -> Iterator[Block]:
    """The kept n-grams in suffix order. weights: of the level's n-grams as contexts; ignored in the highest order."""
    if level.order == 1:
        chosen = np.flatnonzero((level.flags & PRUNED) == 0)
        words = np.arange(len(chosen), dtype=np.uint32)[:, None]
        for start in range(0, len(chosen), PART):
            part = slice(start, start + PART)
            yield words[part], *_figures(level.probability, weights, level.flags, chosen[part])
        return
    backs = np.arange(level.order - 1, -1, -1, dtype=np.uint32)
    for ends, chosen in _kept(suffixes, level):
        ngrams = suffixes.text[ends[:, None] - backs].astype(np.uint32)
        if level.order == suffixes.order:
            yield ngrams, _probabilities(level.probability, chosen), None
        else:
            yield ngrams, *_figures(level.probability, weights, level.flags, chosen)


def _kept(suffixes: Suffixes, level: Level) -> Iterator[tuple[Counts, npt.NDArray[np.int64]]]:
    """(positions where they end, indices) of the next kept n-grams, until there are no more."""
    place, ngram = 0, 0
    ends, chosen = np.empty(PART, np.uint32), np.empty(PART, np.int64)
    found = PART
    while found == PART:
        place, ngram, found = _next_kept(
            suffixes.packed, suffixes.positions, level.order, level.flags, place, ngram, ends, chosen
        )
        yield ends[:found], chosen[:found]


@kernel
def _next_kept(
    packed: Bytes,
    positions: Counts,
    k: int,
    flags: Bytes,
    place: int,
    ngram: int,
    ends: Counts,
    chosen: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fills `ends` and `chosen` from a place and its n-gram on; returns the next ones, and the number kept."""
    found = 0
    while place < packed.shape[0] and found < ends.shape[0]:
        if shared_of(packed[place]) < k <= longest_of(packed[place]):
            if not flags[ngram] & np.uint8(PRUNED):
                ends[found], chosen[found] = positions[place], ngram
                found += 1
            ngram += 1
        place += 1
    return place, ngram, found


@kernel
def _probabilities(probability: Floats, chosen: npt.NDArray[np.int64]) -> Floats:
    found = np.empty(chosen.shape[0], np.float32)
    for i in range(chosen.shape[0]):
        found[i] = log10_probability(probability[chosen[i]])
    return found


@kernel
def _figures(
    probability: Floats, weights: Floats, flags: Bytes, chosen: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """log10 probabilities and back-offs of the n-grams with the indices `chosen`."""
    backoffs = np.empty(chosen.shape[0], np.float32)
    for i in range(chosen.shape[0]):
        backoffs[i] = log10_backoff(weights[chosen[i], BACKOFF], flags[chosen[i]])
    return _probabilities(probability, chosen), backoffs
