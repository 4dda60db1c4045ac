"""KenLM's scoring of word ids from the tables of a probing binary, compiled; bit for bit kpu/kenlm lm/model.cc.

`GenericModel::FullScore` goes word by word: look up the n-grams that end in the word, shortest first, until one is
missing or says that nothing extends it to the left; take the longest's probability, and add the back-offs of the
longer contexts. KenLM mostly waits for memory. Here a block of words is looked up one order at a time: the cells of
all words are prefetched before any of them is read.
KenLM shortens the context to the words that some n-gram extends (its "state"). That depends on the words before, so
it is done last: only n-grams that KenLM would have looked up count.

Nothing here trusts the file: word ids are checked first, cells are found modulo the table's size, steps are counted.

Twin: tests/reference/backoff_scores.py::score
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.compiled import inlined, kernel, load_uint64, prefetch, uncounted
from corpora.perplexity.kenlm_hashes import LAST_WORD_FACTOR, NEXT_WORD_FACTOR
from corpora.perplexity.vocabulary_kernels import modulo

BLOCK = 256  # words looked up together: their scratch memory (20 KB) stays in the L1 cache
LONGEST = 8  # orders that the scratch memory has room for; a power of two

_CACHE_LINE = np.uint64(16)  # 4-byte numbers
_ROW = np.uint64(LONGEST)
_ZERO, _ONE, _TWO, _THREE, _FOUR = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_SIGN = np.uint32(1 << 31)  # sign of a probability: nothing extends the n-gram to the left
_NO_EXTENSION = np.uint32(1 << 31)  # as a back-off (-0.0): nothing extends it to the right
_FREE = np.uint64(0)

Numbers = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
_Table = tuple[np.uint64, np.uint64, np.uint64, np.uint64]  # start, cells, inverse, numbers per cell


class Tables(NamedTuple):
    """A probing binary's tables, as the kernels read them. Places count 4-byte numbers from the start of the file.

    numbers uint32[]: the file. unigrams: place of word 0's entry. starts, cells
    uint64[order - 1]: place and size of the hash table of each order from 2 on. inverses: LARGEST // cells. begin,
    end: ids of `<s>` and `</s>`.
    """

    numbers: Numbers
    unigrams: np.uint64
    starts: npt.NDArray[np.uint64]
    cells: npt.NDArray[np.uint64]
    inverses: npt.NDArray[np.uint64]
    begin: np.uint32
    end: np.uint32


class Scratch(NamedTuple):
    """The n-grams found so far for the words of a block, and the n-grams to look up next.

    probabilities, backoffs uint32[(BLOCK + 1) * LONGEST]: float32 bits; word k's n-gram of order n has place
    (k + 1) * LONGEST + n - 1, and the word before the block is -1. found uint8[BLOCK + 1]: the longest order found.
    searched, keys, places uint64[BLOCK]: the words, their n-grams' keys, and the cells where those should be.
    """

    probabilities: Numbers
    backoffs: Numbers
    found: npt.NDArray[np.uint8]
    searched: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.uint64]


@kernel
def _new_scratch() -> Scratch:
    return Scratch(
        np.empty((BLOCK + 1) * LONGEST, np.uint32),
        np.empty((BLOCK + 1) * LONGEST, np.uint32),
        np.empty(BLOCK + 1, np.uint8),
        np.empty(BLOCK, np.uint64),
        np.empty(BLOCK, np.uint64),
        np.empty(BLOCK, np.uint64),
    )


@kernel
def lay_out(
    words: Words, offsets: Offsets, begin: np.uint32, end: np.uint32, order: int
) -> tuple[Words, npt.NDArray[np.uint8]]:
    """Lines of ids as one sequence, each from `<s>` to `</s>`, and how many words before each are its context."""
    lines = len(offsets) - 1
    length = offsets[lines] - offsets[0] + 2 * lines
    sequence, contexts = np.empty(length, np.uint32), np.empty(length, np.uint8)
    place = 0
    for line in range(lines):
        sequence[place], contexts[place] = begin, 0
        for number in range(offsets[line + 1] - offsets[line]):
            sequence[place + 1 + number] = words[offsets[line] + number]
            contexts[place + 1 + number] = min(number + 1, order - 1)
        place += offsets[line + 1] - offsets[line] + 2
        sequence[place - 1] = end
        contexts[place - 1] = min(offsets[line + 1] - offsets[line] + 1, order - 1)
    return sequence, contexts


@inlined
def _ask_for(numbers: Numbers, table: _Table, key: np.uint64) -> np.uint64:
    """The first place where the key may be. Its cells are prefetched."""
    start, cells, inverse, stride = table
    place = start + modulo(key, cells, inverse) * stride
    prefetch(numbers, place)
    prefetch(numbers, place + _CACHE_LINE)
    return place


@uncounted
def _look_up_words(
    tables: Tables, scratch: Scratch, sequence: Words, contexts: npt.NDArray[np.uint8], first: int, last: int
) -> np.uint64:
    """Looks up the unigrams of sequence[first:last]. Returns the number of bigrams to look up."""
    numbers, unigrams = tables.numbers, tables.unigrams
    bigrams = _table(tables, 0)
    searched, row = _ZERO, _ROW
    before = np.uint64(sequence[max(first - 1, 0)])
    for word in range(last - first):
        identity = np.uint64(sequence[first + word])
        place = unigrams + _TWO * identity
        probability = numbers[place]
        scratch.probabilities[row] = probability | _SIGN
        scratch.backoffs[row] = numbers[place + _ONE]
        scratch.found[word + 1] = 1
        key = (identity * LAST_WORD_FACTOR) ^ ((before + _ONE) * NEXT_WORD_FACTOR)
        scratch.searched[searched], scratch.keys[searched] = np.uint64(word), key
        scratch.places[searched] = _ask_for(numbers, bigrams, key)
        searched += np.uint64(contexts[first + word] > 0 and probability & _SIGN == 0)
        before = identity
        row += _ROW
    return searched


@uncounted
def _look_up_middle(
    tables: Tables,
    scratch: Scratch,
    sequence: Words,
    contexts: npt.NDArray[np.uint8],
    first: int,
    searched: np.uint64,
    level: int,
    left: np.int64,
) -> tuple[np.uint64, np.int64]:
    """Looks up n-grams of order level + 2, not the highest. Returns (longer ones to look up, rest of `left`)."""
    numbers, next_table = tables.numbers, _table(tables, level + 1)
    begin, end = tables.starts[level], tables.starts[level] + tables.cells[level] * _FOUR
    order, rows, start = np.uint8(level + 2), _ROW + np.uint64(level + 1), np.uint64(first)
    longer = _ZERO
    for number in range(np.int64(searched)):
        word, key, place = scratch.searched[number], scratch.keys[number], scratch.places[number]
        left += np.int64(place)
        there = load_uint64(numbers, place)
        while there != key and there != _FREE:
            place += _FOUR
            if place == end:
                place = begin
                left -= np.int64(end - begin)
                if left < 0:
                    return _ZERO, left
            there = load_uint64(numbers, place)
        left -= np.int64(place)
        if there != key:
            continue
        probability = numbers[place + _TWO]
        scratch.probabilities[word * _ROW + rows] = probability | _SIGN
        scratch.backoffs[word * _ROW + rows] = numbers[place + _THREE]
        scratch.found[word + _ONE] = order
        if contexts[start + word] >= order and scratch.found[word] >= order and probability & _SIGN == 0:
            before = np.uint64(sequence[start + word - np.uint64(order)])
            key = (key * LAST_WORD_FACTOR) ^ ((before + _ONE) * NEXT_WORD_FACTOR)
            scratch.searched[longer], scratch.keys[longer] = word, key
            scratch.places[longer] = _ask_for(numbers, next_table, key)
            longer += _ONE
    return longer, left


@uncounted
def _look_up_longest(tables: Tables, scratch: Scratch, searched: np.uint64, left: np.int64) -> np.int64:
    """Looks up n-grams of the highest order. Returns the rest of `left`."""
    numbers, level = tables.numbers, len(tables.starts) - 1
    begin, end = tables.starts[level], tables.starts[level] + tables.cells[level] * _THREE
    order, rows = np.uint8(level + 2), _ROW + np.uint64(level + 1)
    for number in range(np.int64(searched)):
        word, key, place = scratch.searched[number], scratch.keys[number], scratch.places[number]
        left += np.int64(place)
        there = load_uint64(numbers, place)
        while there != key and there != _FREE:
            place += _THREE
            if place == end:
                place = begin
                left -= np.int64(end - begin)
                if left < 0:
                    return left
            there = load_uint64(numbers, place)
        left -= np.int64(place)
        if there == key:
            scratch.probabilities[word * _ROW + rows] = numbers[place + _TWO]
            scratch.found[word + _ONE] = order
    return left


@inlined
def _table(tables: Tables, level: int) -> _Table:
    stride = _THREE if level + 1 == len(tables.starts) else _FOUR
    return tables.starts[level], tables.cells[level], tables.inverses[level], stride


@uncounted
def _add_up(
    scratch: Scratch,
    contexts: npt.NDArray[np.uint8],
    first: int,
    last: int,
    order: int,
    reached: Offsets,
    total: Scores,
    scores: Scores,
) -> None:
    """Adds the block's words to their lines; writes the scores of the lines that end before its last word.

    reached int64[2]: the line, and how many words KenLM keeps as context. total float32[1]: the line's sum so far.
    """
    line, state, running = reached[0], reached[1], total[0]
    probabilities, backoffs = scratch.probabilities.view(np.float32), scratch.backoffs.view(np.float32)
    row, before = _ROW, _ZERO  # offsets of the word and of the word before
    for word in range(last - first):
        if contexts[first + word] == 0:  # `<s>`: the line before is done
            if line >= 0:
                scores[line] = running
            line, state, running = line + 1, np.int64(1), np.float32(0)
        else:
            length = min(np.int64(scratch.found[word + 1]), state + 1)
            probability = probabilities[row + np.uint64(length - 1)]
            for backoff in range(length - 1, state):
                probability += backoffs[before + np.uint64(backoff)]
            running += probability
            state = min(length, order - 1)
            while state > 0 and scratch.backoffs[row + np.uint64(state - 1)] == _NO_EXTENSION:
                state -= 1
        row, before = row + _ROW, row
    reached[0], reached[1], total[0] = line, state, running


@kernel
def score_lines(tables: Tables, words: Words, offsets: Offsets, scores: Scores, left: np.int64) -> bool:
    """scores[line] = log10 probability of words[offsets[line]:offsets[line + 1]] between `<s>` and `</s>`.

    words: ids below the number of unigrams. left: how many numbers all look-ups together may pass over before they
    find their n-gram or a free cell. False if that wasn't enough: the tables hold more entries than the header says.
    """
    order = len(tables.starts) + 1
    sequence, contexts = lay_out(words, offsets, tables.begin, tables.end, order)
    scratch = _new_scratch()
    reached, total = np.zeros(2, np.int64), np.zeros(1, np.float32)
    reached[0] = -1
    for first in range(0, len(sequence), BLOCK):
        last = min(first + BLOCK, len(sequence))
        searched = _look_up_words(tables, scratch, sequence, contexts, first, last)
        for level in range(order - 2):
            searched, left = _look_up_middle(tables, scratch, sequence, contexts, first, searched, level, left)
        left = _look_up_longest(tables, scratch, searched, left)
        if left < 0:
            return False
        _add_up(scratch, contexts, first, last, order, reached, total, scores)
        for level in range(order - 1):  # not a slice: numba takes seconds to compile slices
            scratch.backoffs[level] = scratch.backoffs[(last - first) * LONGEST + level]
        scratch.found[0] = scratch.found[last - first]
    if reached[0] >= 0:
        scores[reached[0]] = total[0]
    return True
