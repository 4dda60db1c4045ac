"""The best pieces of each word in float64, and up to which score of the line SentencePiece finds the same in float32.

SentencePiece (src/unigram_model.cc, `EncodeOptimized`) adds scores along the whole line in float32: F(j), its best
score up to character j, is rounded at every step, so a near-tie inside a word is decided by what stands before it.

**The bound.** Cut a line where no piece of the lattice reaches across. From one cut on, let A = F(cut), X(j) the
exact best score from the cut to j, and k the characters up to the next cut. If all scores computed there are below
2**(b + 1) in magnitude, rounding one changes it by at most e = 2**(b - 24). A candidate for j is F(i) plus a piece's
score, i < j.

1. |F(j) - A - X(j)| <= (characters from the cut to j) e, by induction over j, whatever SentencePiece chose before: a
   maximum of values that are off by so much is off by no more, and storing it adds e.
2. Let a(j) = 1 + the largest a(i) of the candidates for j that lie at most _WINDOW below the best one; a(cut) = 0.
   If 2 k e < _WINDOW, then |F(j) - A - X(j)| <= a(j) e, by induction: by 1, a candidate further below can't become
   the maximum; the others are off by at most a(i) e, and storing adds e.
3. So of the best candidate and another for j, through i and i', the computed difference is off by at most (a(i) +
   a(i') + 2) e <= 2 a(j) e (the 2: either may have been rounded when they are compared) if the other is in the
   window; if not, by less than the window. The choice at j is the exact one where its margin exceeds 2 a(j) e; or, by
   1 alone and without the condition of 2, 2 e for each character from the cut to j.

It has to be so at the j on the best path alone. With W the largest magnitude of a candidate's score from the cut on,
these are upper bounds on |A| + W (_SLACK and _CLEAR cover the roundings of these sums themselves,
k 2**-24 and k 2**-53 of their size, k <= 2**16). A word's limit is on the score before the word, so the exact score
from there to the cut is taken off, too. The line's score is known exactly, not as F: see `word_cache.expand`.

**Exact sums.** Where all scores are multiples of a step, float32 sums are exact below 2**24 steps, ties included,
since candidates come in SentencePiece's order and the first of equals stays. Then only the magnitude is bounded.
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
_SIGNIFICAND = 24  # bits of float32
_TO_FLOAT32 = 1e-6  # of a limit: more than the rounding to float32


@inlined
def _offered(
    candidate: float,
    additions: int,
    end: int,
    best: NDArray[np.float64],
    margin: NDArray[np.float64],
    chains: NDArray[np.int64],
) -> bool:
    """Offers a candidate for the best score up to `end`, and says whether it is. additions: a(end) by it alone."""
    ahead = candidate - best[end]
    if abs(ahead) <= _WINDOW:
        additions = max(additions, chains[end])
    if ahead > 0:
        best[end], margin[end], chains[end] = candidate, ahead, additions
    else:
        margin[end] = min(margin[end], -ahead)
        chains[end] = additions if ahead >= -_WINDOW else chains[end]
    return bool(ahead > 0)


@inlined
def _bound(error: float) -> float:
    """Scores below this are rounded by less than `error`."""
    _, exponent = math.frexp(min(error, 1.0) * _CLEAR)  # error > 2 ** (exponent - 1)
    return math.ldexp(1.0, exponent + _SIGNIFICAND) if error > 0 else 0.0


@inlined
def _limit(by_chains: float, by_length: float, length: int, before: float, worst: float, step: float) -> float:
    """On the line's score before the word. step: 0 where sums are not exact.

    by_chains, by_length: the least margin / (2 a(j)) on the best path, and the least margin / (2 characters).
    """
    bound = math.ldexp(step, _SIGNIFICAND)
    if step == 0:
        bound = max(min(_bound(by_chains), _bound(_WINDOW / (2 * length))), _bound(by_length)) / _SLACK
    return bound - before - worst


class Room(NamedTuple):
    """To work in: float64[2, symbols of the longest word + 1] and int64[4, the same]."""

    floats: NDArray[np.float64]
    places: NDArray[np.int64]


def room_for(starts: NDArray[np.int64]) -> Room:
    """For `best_pieces` of words, at least one, that begin there."""
    size = 1 + int(np.max(np.diff(starts)))
    return Room(np.empty((2, size), np.float64), np.empty((4, size), np.int64))


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
    """Writes each word's pieces to the pool, and where they are and how they score to its entry.

    Word w is `symbols[starts[w]:starts[w + 1]]` (from the alphabet's size on: in no piece) and its entry
    `entries[words[w]]`. scoring: the unknown character's score, the step (0: none), the alphabet's size. values: what
    a piece is written as. unknowns: gets (place in the pool, first symbol, end) of each run of unknown characters,
    whose value stays to be filled in. There must be room for a piece a symbol. Returns the pool's next free place,
    and the number of runs.
    """
    unknown_score, step, alphabet = scoring[0], scoring[1], np.uint64(scoring[2])
    best, margin = room.floats[0], room.floats[1]
    chains, origin, piece, path = room.places[0], room.places[1], room.places[2], room.places[3]
    runs = 0
    for word in range(words.shape[0]):
        first, length = starts[word], starts[word + 1] - starts[word]
        entry = words[word]
        entries[entry].pieces = pool_next
        limit, before, in_run = np.inf, 0.0, False
        position, cut, reach, worst = 0, 0, 0, 0.0
        best[0], chains[0] = 0.0, 0
        best[1 : length + 1], margin[1 : length + 1] = -np.inf, np.inf
        while position < length:
            base, additions = best[position], chains[position] + 1
            end, slot, alone = position, np.uint64(ROOT), False  # unsigned: an index that numba need not wrap around
            while end < length:
                symbol = np.uint64(symbols[np.uint64(first + end)])
                child = np.uint64(nodes[slot].base) + symbol
                if symbol >= alphabet or np.uint64(nodes[child].parent) != slot:
                    break
                slot = child
                end += 1
                if nodes[slot].piece != NO_PIECE:
                    candidate = base + np.float64(nodes[slot].score)
                    if _offered(candidate, additions, end, best, margin, chains):
                        origin[end], piece[end] = position, nodes[slot].piece
                    worst = min(worst, candidate)
                    reach = max(reach, end)
                    alone |= end == position + 1
            position += 1
            if not alone:
                if _offered(base + unknown_score, additions, position, best, margin, chains):
                    origin[position], piece[position] = position - 1, NO_PIECE
                worst = min(worst, base + unknown_score)
                reach = max(reach, position)
            if position < reach:
                continue
            steps, back = 0, position  # a cut: what lies behind is settled
            by_chains, by_length = np.inf, np.inf
            while back > cut:
                path[steps] = back
                steps += 1
                by_chains = min(by_chains, margin[back] / (2 * chains[back]))
                by_length = min(by_length, margin[back] / (2 * (back - cut)))
                back = origin[back]
            limit = min(limit, _limit(by_chains, by_length, position - cut, before, -worst, step))
            before -= best[position]
            while steps > 0:
                steps -= 1
                end = path[steps]
                known = piece[end] != NO_PIECE
                if known:
                    pool[pool_next] = values[piece[end]]
                elif not in_run:
                    unknowns[runs, 0], unknowns[runs, 1] = pool_next, first + origin[end]
                    runs += 1
                if not known:
                    unknowns[runs - 1, 2] = first + end
                pool_next += 1 if known or not in_run else 0
                in_run = not known
            cut, worst, best[position], chains[position] = position, 0.0, 0.0, 0
        entries[entry].count = pool_next - np.int64(entries[entry].pieces)
        entries[entry].cost = before
        entries[entry].limit = limit - abs(limit) * _TO_FLOAT32
    return pool_next, runs
