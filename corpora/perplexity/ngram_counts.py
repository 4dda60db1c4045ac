"""Counts of all n-grams of a text, by sorting positions.

A text is one array of word ids: `<s>`, the sentence's words, `</s>`, for every sentence. Its positions are put
in suffix order: by the word there, then the word before it, up to the order of the model. Equal n-grams of every
order then lie side by side, so that comparing neighbours counts them all, and memory is a few bytes per position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN, BEGIN, END = 0, 1, 2

Ids = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class SortedText:
    """Positions of all words but `<s>`, in suffix order, with facts about the n-grams that end there.

    text: `order - 1` times `<s>`, then the ids, so that stepping back from a position stays in bounds.
    longest: length of the longest n-gram that ends at the position: the model's order, or less near a sentence's
    start. shared: how many last words its longest n-gram shares with that of the position before it in this order.
    """

    text: Ids
    order: int
    positions: npt.NDArray[np.uint32]
    longest: npt.NDArray[np.uint8]
    shared: npt.NDArray[np.uint8]

    def first_of(self, order: int) -> Mask:
        """Marks the first position of every distinct n-gram of one order."""
        return (self.shared < order) & (self.longest >= order)


@dataclass(frozen=True)
class NgramCounts:
    """The distinct n-grams of one order, in suffix order, as arrays of equal length.

    ends: the position of the last word of one occurrence. adjusted: Kneser-Ney's count: the number of different
    words before the n-gram, or its occurrences if it begins with `<s>` or is of the highest order.
    extensions: how many n-grams of the next order are this one with a word before it; they come in the same order.
    """

    ends: npt.NDArray[np.uint32]
    occurrences: Counts
    adjusted: Counts
    extensions: Counts


def sort_text(text: Ids, order: int) -> SortedText:
    """Sorts the positions of `text`: a stable radix sort, least significant (furthest back) word first."""
    text = np.concatenate([np.full(order - 1, BEGIN, text.dtype), text])
    positions = np.flatnonzero(text != BEGIN).astype(np.uint32)
    for back in reversed(range(order)):
        positions = positions[_stable_order(text[positions - np.uint32(back)])]
    longest, shared = _compare_neighbours(text, positions, order)
    return SortedText(text, order, positions, longest, shared)


def _stable_order(keys: Ids) -> npt.NDArray[np.int64]:
    """numpy's stable sort is a radix sort only for 16-bit keys, so wider keys are sorted in two halves."""
    if keys.dtype == np.uint16:
        return np.argsort(keys, kind="stable")
    low = np.argsort(keys.astype(np.uint16), kind="stable")
    return low[np.argsort((keys >> 16).astype(np.uint16)[low], kind="stable")]


def _compare_neighbours(
    text: Ids, positions: npt.NDArray[np.uint32], order: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """`longest` and `shared` of SortedText."""
    longest = np.zeros(len(positions), np.uint8)
    shared = np.zeros(len(positions), np.uint8)
    inside = np.ones(len(positions), np.bool_)  # the n-gram has not reached its sentence's <s>
    equal = np.ones(len(positions) - 1, np.bool_)
    for back in range(order):
        words = text[positions - np.uint32(back)]
        equal &= (words[1:] == words[:-1]) & inside[1:]
        longest += inside
        shared[1:] += equal
        inside &= words != BEGIN
    return longest, shared


def count_ngrams(text: SortedText, order: int) -> NgramCounts:
    """The n-grams of one order. Unigrams are indexed by word; no n-gram ends in `<unk>` or `<s>`: count 0."""
    starts = np.flatnonzero(text.first_of(order))
    groups = np.flatnonzero(text.shared < order)
    sizes = np.diff(groups, append=len(text.shared))
    occurrences = sizes[text.longest[groups] >= order].astype(np.uint32)
    if order < text.order:
        extensions = np.add.reduceat(text.first_of(order + 1), starts, dtype=np.uint32)
        adjusted = np.where(text.longest[starts] == order, occurrences, extensions)
    else:
        extensions, adjusted = np.zeros(len(starts), np.uint32), occurrences
    counts = NgramCounts(text.positions[starts], occurrences, adjusted, extensions)
    return counts if order > 1 else _with_special_words(counts, text)


def _with_special_words(unigrams: NgramCounts, text: SortedText) -> NgramCounts:
    arrays = (unigrams.ends, unigrams.occurrences, unigrams.adjusted, unigrams.extensions)
    assert np.array_equal(text.text[unigrams.ends], np.arange(2, 2 + len(unigrams.ends))), "some word id is unused"
    return NgramCounts(*(np.concatenate([np.zeros(2, np.uint32), array]) for array in arrays))


def counts_of_counts(text: SortedText, counts: NgramCounts, order: int) -> list[int]:
    """[c0..c4]: how many n-grams of one order have the adjusted count 0..4.

    For the last n-gram of every order but the highest, lmplz takes its occurrences instead (adjust_counts.cc).
    """
    found = np.bincount(np.minimum(counts.adjusted, 5), minlength=6)
    if order < text.order and text.longest[-1] >= order:
        found[min(int(counts.adjusted[-1]), 5)] -= 1
        found[min(int(counts.occurrences[-1]), 5)] += 1
    return [int(number) for number in found[:5]]


def rank_positions(text: SortedText, order: int) -> npt.NDArray[np.uint32]:
    """For every position in the text, the index of the n-gram of one order that ends there, if there is one."""
    if order == 1:
        return text.text.astype(np.uint32)
    ranks = np.empty(len(text.text), np.uint32)
    ranks[text.positions] = np.cumsum(text.first_of(order), dtype=np.uint32) - np.uint32(1)
    return ranks
