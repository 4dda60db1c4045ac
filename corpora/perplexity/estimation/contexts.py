"""Contexts: the context of each n-gram, and for each context the sum of its n-grams' counts and its back-off weight.

In suffix order, the (k-1)-grams come one after the other. The places of a word `w` are sorted by what comes before
`w`. That is also the order in which a pass over the (k-1)-grams meets `w` as the next word. So one pass over the
places meets the k-grams context by context, each as the next k-gram of its last word: sums need no array, and
everything is read front to back.

Twin: tests/reference/kneser_ney_dictionary.py::DictionaryModel
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, kernel
from corpora.perplexity.estimation.counts import IS_CONTEXT, PRUNED, Counts
from corpora.perplexity.estimation.neighbours import Bytes, longest_of, shared_of
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.ngram_counts import BEGIN

Floats = npt.NDArray[np.float32]

BACKOFF, TOTAL = 0, 1  # columns of `weights`


@kernel
def next_word_histogram(next_words: Ids, start: int, stop: int, words: int) -> Counts:
    """uint32[words]: how often each word follows a position of the places start .. stop - 1."""
    counts = np.zeros(words, np.uint32)
    for place in range(np.uint64(start), np.uint64(stop)):
        counts[next_words[place]] += np.uint32(1)
    return counts


@kernel
def ngrams_before(packed: Bytes, k: int, places: Counts) -> Counts:
    """uint32[words]: how many k-grams begin before each of the ascending `places`."""
    found = np.empty(places.shape[0], np.uint32)
    begun = np.uint32(0)
    place = np.uint64(0)
    for word in range(places.shape[0]):
        while place < places[word]:
            begun += np.uint32(shared_of(packed[place]) < k <= longest_of(packed[place]))
            place += np.uint64(1)
        found[word] = begun
    return found


@inlined
def _write_weights(
    context: int,
    total: np.int64,
    pruned: np.int64,
    kept: npt.NDArray[np.int64],
    discounts: Floats,
    weights: Floats,
    context_flags: Bytes,
) -> None:
    """Writes a context's back-off weight and sum. kept[c]: its kept n-grams with count c (3: or more).

    The back-off is the share that discounts and pruning took; 1 where no n-gram follows. float32 operations in
    lmplz's order.
    """
    freed = np.float32(0)
    for few in range(1, 4):
        freed += discounts[few] * np.float32(kept[few])
    freed += np.float32(pruned)
    weights[context, BACKOFF] = freed / np.float32(total) if total else np.float32(1)
    weights[context, TOTAL] = np.float32(total)
    if kept[1] + kept[2] + kept[3]:
        context_flags[context] |= np.uint8(IS_CONTEXT)


@kernel
def weigh_part(
    packed: Bytes,
    next_words: Ids,
    start: int,
    stop: int,
    k: int,
    next_place: Counts,
    next_ngram: Counts,
    adjusted: Counts,
    flags: Bytes,
    discounts: Floats,
    first_context: int,
    contexts: Counts,
    weights: Floats,
    context_flags: Bytes,
) -> None:
    """Writes `weights` and `context_flags` of the contexts that end at the places start .. stop - 1, and `contexts`.

    next_place, next_ngram: for every word, the next place and the next k-gram that ends in it; both are advanced.
    adjusted, flags, contexts: of k-grams. weights: float32[n, 2], of (k-1)-grams, the first here `first_context`.
    float32 operations in the order of initial_probabilities.cc.
    """
    context = first_context - 1
    total = pruned = np.int64(0)
    kept = np.zeros(4, np.int64)
    for place in range(np.uint64(start), np.uint64(stop) + np.uint64(1)):
        ended = place == np.uint64(stop)
        if ended or (shared_of(packed[place]) < k - 1 <= longest_of(packed[place])):
            # Another context begins: all n-grams of the one before have been met.
            if context >= first_context:
                _write_weights(context, total, pruned, kept, discounts, weights, context_flags)
            total = pruned = np.int64(0)
            kept[:] = 0
            context += 1
        if ended:
            break
        word = next_words[place]
        if word == BEGIN:  # the sentence is over: no n-gram continues here
            continue
        # This occurrence of `word` is the next place in the part of the suffix order that ends in it.
        following = packed[next_place[word]]
        next_place[word] += np.uint32(1)
        if shared_of(following) < k <= longest_of(following):  # this is the first occurrence of its k-gram
            ngram = next_ngram[word]
            next_ngram[word] += np.uint32(1)
            contexts[ngram] = context
            count = np.int64(adjusted[ngram])
            total += count
            if flags[ngram] & np.uint8(PRUNED):
                pruned += count
            else:
                kept[min(count, np.int64(3))] += 1
