"""Interpolated modified Kneser-Ney: ids of words in, probabilities and back-offs of n-grams out.

The model of Chen and Goodman (1998) as lmplz estimates it (Heafield et al. 2013), count for count and float32 for
float32: kpu/kenlm lm/builder (adjust_counts.cc, initial_probabilities.cc, interpolate.cc).

One pass over the orders: the probability of an n-gram is its discounted share of its context's count, plus the
context's back-off weight times the probability of the n-gram without its first word, known from the order below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.perplexity.ngram_counts import (
    BEGIN,
    END,
    Ids,
    Mask,
    NgramCounts,
    SortedText,
    count_ngrams,
    counts_of_counts,
    rank_positions,
    sort_text,
)

Float = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

FALLBACK_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)  # lmplz --discount_fallback
_BLOCK = 1 << 18  # values passed to Arrow at once


@dataclass(frozen=True)
class NgramTable:
    """The kept n-grams of one order, in suffix order, as arrays of equal length.

    ends: the position in the text of the last word of one occurrence; for unigrams, the word itself.
    log10_backoff: -0.0 for an n-gram that isn't the context of a kept n-gram, as KenLM stores it; None in the highest
    order. extends_left: a kept n-gram of the next order is this n-gram with a word before it.
    """

    ends: npt.NDArray[np.uint32]
    log10_probability: Float
    log10_backoff: Float | None
    extends_left: Mask


@dataclass(frozen=True)
class NgramModel:
    """`tables[k-1]` holds the n-grams of order k.

    text: the ids, with pruned words as `<unk>` and the others renumbered 0, 1, .. without gaps.
    kept_words: the id in the caller's text of word 0, 1, .. of the model.
    """

    text: Ids
    kept_words: Indices
    tables: list[NgramTable]

    @property
    def order(self) -> int:
        return len(self.tables)

    @property
    def counts(self) -> list[int]:
        """n-grams of each order, `<unk>` and `<s>` among the unigrams."""
        return [len(table.ends) for table in self.tables]

    def words(self, order: int, back: int, part: slice = slice(None)) -> Ids:
        """The word `back` places before the last, of every n-gram of one order, or of a `part` of them."""
        ends = self.tables[order - 1].ends[part]
        return ends if order == 1 else self.text[ends - np.uint32(back)]

    def ngrams(self, order: int, part: slice = slice(None)) -> npt.NDArray[np.uint32]:
        """Word ids, [n, order], the first word first."""
        columns = [self.words(order, back, part).astype(np.uint32) for back in reversed(range(order))]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class _Level:
    """One order while it is being estimated: every n-gram, pruned ones included."""

    counts: NgramCounts
    kept: Mask
    probability: Float
    ranks: npt.NDArray[np.uint32]


def estimate(
    text: Ids,
    order: int,
    *,
    prune: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> NgramModel:
    """Estimates a model of n-grams up to `order` (2 and up).

    text: `<s>` (1), the words' ids, `</s>` (2), sentence after sentence; ids from 3 up in order of first occurrence,
    uint16 or uint32. prune: as LmSettings. progress: called with the number of orders done, and of all.
    Raises BadArgument if there is no sentence, if `prune` removes `</s>`, or if a tiny text gives a discount of 0.
    """
    if not len(text):
        raise BadArgument("no sentence in the input: every line is blank")
    thresholds = [*(prune or [0]), *[(prune or [0])[-1]] * order][:order]
    sorted_text = sort_text(text, order)
    level, kept_words = _unigrams(sorted_text, thresholds[0])
    tables = []
    for k in range(2, order + 1):
        progress(k - 1, order)
        level, table = _next_order(sorted_text, level, k, thresholds[k - 1])
        tables.append(table)
    tables.append(_highest_table(level))
    _check_finite(tables)
    return NgramModel(_renumber(sorted_text.text, kept_words), kept_words, _rename_unigrams(tables))


def _unigrams(text: SortedText, threshold: int) -> tuple[_Level, Indices]:
    """Order 1 interpolates with the uniform distribution over all kept words but `<s>`."""
    counts = count_ngrams(text, 1)
    kept = counts.occurrences > threshold
    if not kept[END]:
        sentences = counts.occurrences[END]
        raise BadArgument(
            f"prune is {threshold} for single words: it must be below the number of sentences ({sentences})"
        )
    kept[: END + 1] = True
    discounts = discounts_of(counts_of_counts(text, counts, 1))
    probability = unigram_probability(counts.adjusted, kept, discounts)
    return _Level(counts, kept, probability, rank_positions(text, 1)), np.flatnonzero(kept)


def unigram_probability(adjusted: npt.NDArray[np.uint32], kept: Mask, discounts: Float) -> Float:
    """float32[words], before log10."""
    one_context = np.zeros(len(kept), np.int64)
    total, backoff = _context_sums(adjusted, kept, one_context, 1, discounts)
    uniform = np.float32(1.0 / float(np.float32(np.count_nonzero(kept) - 1)))
    probability = _discounted(adjusted, discounts) / total + backoff * uniform
    probability[BEGIN] = 1.0
    return probability


def _next_order(text: SortedText, lower: _Level, order: int, threshold: int) -> tuple[_Level, NgramTable]:
    """The n-grams of one order, and the finished table of the order below."""
    counts = count_ngrams(text, order)
    kept = counts.occurrences > threshold
    discounts = discounts_of(counts_of_counts(text, counts, order))
    contexts = lower.ranks[counts.ends - np.uint32(1)].astype(np.int64)
    total, backoff = _context_sums(counts.adjusted, kept, contexts, len(lower.kept), discounts)
    probability = _discounted(counts.adjusted, discounts)
    probability /= total[contexts]
    probability += backoff[contexts] * np.repeat(lower.probability, lower.counts.extensions)
    ranks = rank_positions(text, order) if order < text.order else lower.ranks[:0]
    return _Level(counts, kept, probability, ranks), _finished_table(lower, backoff, kept, contexts)


def discounts_of(found: list[int]) -> Float:
    """float32[4]: the discounts of n-grams counted 0, 1, 2 and 3+ times; for odd texts lmplz's fallback."""
    if 0 in found[1:4]:
        return np.array(FALLBACK_DISCOUNTS, np.float32)
    c = [np.float32(number) for number in found]
    y = c[1] / np.float32(found[1] + 2.0 * found[2])
    discounts = [np.float32(j) - np.float32(j + 1) * y * c[j + 1] / c[j] for j in (1, 2, 3)]
    if any(not 0 <= discount <= j for j, discount in enumerate(discounts, 1)):
        return np.array(FALLBACK_DISCOUNTS, np.float32)
    return np.array([0.0, *discounts], np.float32)


def _discounted(adjusted: npt.NDArray[np.uint32], discounts: Float) -> Float:
    return adjusted.astype(np.float32) - discounts[np.minimum(adjusted, 3)]


def _context_sums(
    adjusted: npt.NDArray[np.uint32], kept: Mask, contexts: Indices, num_contexts: int, discounts: Float
) -> tuple[Float, Float]:
    """The count of every context, and its back-off weight: the share that discounts and pruning took.

    A context that is never used gets 0 and 1. Sums are exact before they become float32; the operations on float32
    follow the order of initial_probabilities.cc.
    """
    total = np.bincount(contexts, adjusted, num_contexts).astype(np.float32)
    freed = np.zeros(num_contexts, np.float32)
    for count in (1, 2, 3):
        alike = (adjusted >= 3) if count == 3 else (adjusted == count)
        freed += discounts[count] * np.bincount(contexts[alike & kept], minlength=num_contexts).astype(np.float32)
    if not kept.all():
        freed += np.bincount(contexts, adjusted * ~kept, num_contexts).astype(np.float32)
    return total, np.divide(freed, total, out=np.ones_like(freed), where=total > 0)


def _finished_table(lower: _Level, backoff: Float, kept_above: Mask, contexts: Indices) -> NgramTable:
    """The order below, now that its n-grams are known as contexts (`backoff`) and as ends of longer ones."""
    is_context = np.zeros(len(lower.kept), np.bool_)
    is_context[contexts[kept_above]] = True
    extends_left = np.zeros(len(lower.kept), np.bool_)
    extends_left[np.repeat(np.arange(len(lower.kept)), lower.counts.extensions)[kept_above]] = True
    log10_backoff = log10(backoff)
    log10_backoff[(log10_backoff == 0) & is_context] = 0.0
    log10_backoff[(log10_backoff == 0) & ~is_context] = -0.0
    kept = lower.kept
    return NgramTable(lower.counts.ends[kept], _log10_probability(lower), log10_backoff[kept], extends_left[kept])


def _highest_table(level: _Level) -> NgramTable:
    ends = level.counts.ends[level.kept]
    return NgramTable(ends, _log10_probability(level), None, np.zeros(len(ends), np.bool_))


def _check_finite(tables: list[NgramTable]) -> None:
    """A discount of exactly 0 leaves no probability for unseen words; build_binary also refuses such a model."""
    for order, table in enumerate(tables, 1):
        figures = [table.log10_probability, *([] if table.log10_backoff is None else [table.log10_backoff])]
        if not all(np.isfinite(values).all() for values in figures):
            raise BadArgument(too_little_text(order))


def too_little_text(order: int) -> str:
    return f"too little text for {order}-grams: some leave no probability for unseen words"


def _log10_probability(level: _Level) -> Float:
    return np.minimum(log10(level.probability[level.kept]), np.float32(0))


def log10(values: Float) -> Float:
    """libm's log10f, as in lmplz. numpy's differs in the last bit on some CPUs; Arrow's kernel loops over libm's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    result = np.empty_like(values)
    for start in range(0, len(values), _BLOCK):
        block = pa.array(values[start : start + _BLOCK], pa.float32())
        result[start : start + _BLOCK] = pc.log10(block).to_numpy()
    return result


def _renumber(text: Ids, kept_words: Indices) -> Ids:
    """Renumbers words as build_binary does: pruned words become `<unk>`, the others close the gaps."""
    vocabulary = int(text.max()) + 1
    if len(kept_words) == vocabulary:
        return text
    new = np.zeros(vocabulary, text.dtype)
    new[kept_words] = np.arange(len(kept_words), dtype=text.dtype)
    return new[text]


def _rename_unigrams(tables: list[NgramTable]) -> list[NgramTable]:
    """Unigrams are named by their word, since `<unk>` has no position."""
    first = tables[0]
    words = np.arange(len(first.ends), dtype=np.uint32)
    return [NgramTable(words, first.log10_probability, first.log10_backoff, first.extends_left), *tables[1:]]
