"""The best pieces of each word in float64, and up to which line score SentencePiece's float32 gives the same.

SentencePiece (src/unigram_model.cc, `EncodeOptimized`) adds scores along the whole line in float32: F(j), its best
score up to character j, is rounded at every step, so the text before a word can decide a near-tie inside it.

**The bound.** Cut a line wherever no piece of the lattice crosses. From one cut on, let A = F(cut), X(j) the
exact best score from the cut to j, and k the characters up to the next cut. If all scores computed there are below
2**(b + 1) in magnitude, rounding one changes it by at most e = 2**(b - 24). A candidate for j is F(i) plus a piece's
score, i < j.

1. |F(j) - A - X(j)| <= (characters from the cut to j) e, by induction over j, whatever SentencePiece chose before: a
   maximum of values with at most that error has no larger error, and storing it adds e.
2. Let a(j) = 1 + the largest a(i) of the candidates for j that lie at most _WINDOW below the best one; a(cut) = 0.
   If 2 k e < _WINDOW, then |F(j) - A - X(j)| <= a(j) e, by induction: by 1, a candidate further below can't become
   the maximum; the others are off by at most a(i) e, and storing adds e.
3. So for the best candidate for j, through i, and another one, through i', the computed difference is off by at most
(a(i) +
   a(i') + 2) e <= 2 a(j) e (the 2: either may have been rounded when they are compared) if the other is in the
   window; if not, by less than the window. The choice at j is the exact one where its margin exceeds 2 a(j) e; or, by
   1 alone and without the condition of 2, 2 e for each character from the cut to j.

This needs to hold only at the j on the best path. With W the largest magnitude of a candidate's score from the cut,
these are upper bounds on |A| + W (_SLACK and _CLEAR cover the roundings of these sums themselves,
k 2**-24 and k 2**-53 of their size, k <= 2**16). A word's limit is on the score before the word, so the exact score
from there to the cut is subtracted too. The line's score is known exactly, not as F: see `word_values.expand`.

**Exact sums.** If all scores are multiples of a step, float32 sums are exact below 2**24 steps, ties included,
since candidates come in SentencePiece's order and the first of equal ones stays. Then only the magnitude is bounded.

Twin: tests/reference/unigram_margins.py::best_and_limit
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import inlined, uncounted
from corpora.encoding.sentencepiece.piece_trie import NO_PIECE, ROOT

_WINDOW = 2.0**-3
_SLACK = 1.01
_CLEAR = 0.999
_SIGNIFICAND = 24  # bits in float32
_TO_FLOAT32 = 1e-6  # share taken off a limit: more than the rounding to float32


class Room(NamedTuple):
    """Scratch memory: float64[2, symbols of the longest word + 1] and int64[4, the same]."""

    floats: NDArray[np.float64]
    places: NDArray[np.int64]


def room_for(starts: NDArray[np.int64]) -> Room:
    """Room for `best_pieces` of words, at least one, that begin at `starts`."""
    size = 1 + int(np.max(np.diff(starts)))
    return Room(np.empty((2, size), np.float64), np.empty((4, size), np.int64))


class Lattice(NamedTuple):
    """The rows of a Room. By position j in the word, counted in symbols: X(j), its margin, a(j) (see above).

    origin, piece: where the best candidate for j begins, and what it is. path: the ends of the best pieces since the
    last cut, last first.
    """

    best: NDArray[np.float64]
    margin: NDArray[np.float64]
    chains: NDArray[np.int64]
    origin: NDArray[np.int64]
    piece: NDArray[np.int64]
    path: NDArray[np.int64]


@inlined
def _offer(lattice: Lattice, begin: int, end: int, candidate: float, additions: int, piece: int) -> None:
    """Offers the score of a piece from `begin` as the best one up to `end`. additions: a(end) by it alone.

    Of equal candidates the first one stays, as in SentencePiece.
    """
    ahead = candidate - lattice.best[end]
    if abs(ahead) <= _WINDOW:
        additions = max(additions, lattice.chains[end])
    if ahead > 0:
        lattice.best[end], lattice.margin[end], lattice.chains[end] = candidate, ahead, additions
        lattice.origin[end], lattice.piece[end] = begin, piece
    else:
        lattice.margin[end] = min(lattice.margin[end], -ahead)
        lattice.chains[end] = additions if ahead >= -_WINDOW else lattice.chains[end]


@inlined
def _bound(error: float) -> float:
    """Scores below this are rounded by less than `error`."""
    _, exponent = math.frexp(min(error, 1.0) * _CLEAR)  # error > 2 ** (exponent - 1)
    return math.ldexp(1.0, exponent + _SIGNIFICAND) if error > 0 else 0.0


@inlined
def _limit(by_chains: float, by_length: float, length: int, before: float, worst: float, step: float) -> float:
    """The limit on the line's score before the word. step: 0 if sums aren't exact.

    by_chains, by_length: the least margin / (2 a(j)) on the best path, and the least margin / (2 characters).
    """
    bound = math.ldexp(step, _SIGNIFICAND)
    if step == 0:
        bound = max(min(_bound(by_chains), _bound(_WINDOW / (2 * length))), _bound(by_length)) / _SLACK
    return bound - before - worst


@inlined
def _offer_pieces(
    symbols: NDArray[np.int32],
    first: int,
    begin: int,
    length: int,
    nodes: NDArray[np.void],
    scoring: NDArray[np.float64],
    lattice: Lattice,
    reach: int,
    worst: float,
) -> tuple[int, float]:
    """Offers every piece that begins at `begin` of the word symbols[first:first + length].

    If none is a single character, the character is offered as an unknown one. Returns the furthest end offered so
    far, and the lowest score.
    """
    base, additions, alphabet = lattice.best[begin], lattice.chains[begin] + 1, np.uint64(scoring[2])
    end, slot, alone = begin, np.uint64(ROOT), False  # unsigned: numba doesn't check for negative indices
    while end < length:
        symbol = np.uint64(symbols[np.uint64(first + end)])
        child = np.uint64(nodes[slot].base) + symbol
        if symbol >= alphabet or np.uint64(nodes[child].parent) != slot:
            break
        slot = child
        end += 1
        if nodes[slot].piece != NO_PIECE:
            candidate = base + np.float64(nodes[slot].score)
            _offer(lattice, begin, end, candidate, additions, nodes[slot].piece)
            worst, reach = min(worst, candidate), max(reach, end)
            alone |= end == begin + 1
    if not alone:
        candidate = base + scoring[0]
        _offer(lattice, begin, begin + 1, candidate, additions, NO_PIECE)
        worst, reach = min(worst, candidate), max(reach, begin + 1)
    return reach, worst


@inlined
def _trace(lattice: Lattice, cut: int, end: int) -> tuple[int, float, float]:
    """Writes the best path between two cuts to `path`, backwards. Returns its length, by_chains and by_length."""
    steps, back = 0, end
    by_chains, by_length = np.inf, np.inf
    while back > cut:
        lattice.path[steps] = back
        steps += 1
        by_chains = min(by_chains, lattice.margin[back] / (2 * lattice.chains[back]))
        by_length = min(by_length, lattice.margin[back] / (2 * (back - cut)))
        back = lattice.origin[back]
    return steps, by_chains, by_length


@inlined
def _write(
    lattice: Lattice,
    steps: int,
    first: int,
    values: NDArray[np.uint32],
    pool: NDArray[np.uint32],
    pool_next: int,
    unknowns: NDArray[np.int64],
    runs: int,
    in_run: bool,
) -> tuple[int, int, bool]:
    """Writes the pieces of a path to the pool; adjacent unknown characters become one piece. first: the word's start.

    in_run: whether the previous piece was unknown. Returns the pool's next place, the number of runs, and in_run.
    """
    while steps > 0:
        steps -= 1
        end = lattice.path[steps]
        known = lattice.piece[end] != NO_PIECE
        if known:
            pool[pool_next] = values[lattice.piece[end]]
        elif not in_run:
            unknowns[runs, 0], unknowns[runs, 1] = pool_next, first + lattice.origin[end]
            runs += 1
        if not known:
            unknowns[runs - 1, 2] = first + end
        pool_next += 1 if known or not in_run else 0
        in_run = not known
    return pool_next, runs, in_run


@uncounted
def best_pieces(
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    words: NDArray[np.int64],
    entries: NDArray[np.void],
    nodes: NDArray[np.void],
    scoring: NDArray[np.float64],
    values: NDArray[np.uint32],
    pool: NDArray[np.uint32],
    pool_next: int,
    unknowns: NDArray[np.int64],
    room: Room,
) -> tuple[int, int]:
    """Writes each word's pieces to the pool, and their place and score to its entry.

    Word w is `symbols[starts[w]:starts[w + 1]]` (values from the alphabet's size on are in no piece) and its entry
    `entries[words[w]]`. scoring: the unknown character's score, the step (0: none), the alphabet's size. values: the
    value written for each piece. unknowns: gets (place in the pool, first symbol, end) of each run of unknown
    characters, whose value the caller must fill in. There must be room for one piece per symbol. Returns the pool's
    next free place, and the number of runs.
    """
    floats, places = room.floats, room.places
    lattice = Lattice(floats[0], floats[1], places[0], places[1], places[2], places[3])
    step, runs = scoring[1], 0
    for word in range(words.shape[0]):
        first, length = starts[word], starts[word + 1] - starts[word]
        entry = words[word]
        entries[entry].pieces = pool_next
        limit, before, in_run = np.inf, 0.0, False
        cut, reach, worst = 0, 0, 0.0
        lattice.best[0], lattice.chains[0] = 0.0, 0
        lattice.best[1 : length + 1], lattice.margin[1 : length + 1] = -np.inf, np.inf
        for begin in range(length):
            reach, worst = _offer_pieces(symbols, first, begin, length, nodes, scoring, lattice, reach, worst)
            end = begin + 1
            if end < reach:
                continue
            # A cut: no piece crosses it, so everything before is final, and scores restart from here.
            steps, by_chains, by_length = _trace(lattice, cut, end)
            limit = min(limit, _limit(by_chains, by_length, end - cut, before, -worst, step))
            before -= lattice.best[end]
            pool_next, runs, in_run = _write(lattice, steps, first, values, pool, pool_next, unknowns, runs, in_run)
            cut, worst, lattice.best[end], lattice.chains[end] = end, 0.0, 0.0, 0
        entries[entry].count = pool_next - np.int64(entries[entry].pieces)
        entries[entry].cost = before
        entries[entry].limit = limit - abs(limit) * _TO_FLOAT32
    return pool_next, runs
