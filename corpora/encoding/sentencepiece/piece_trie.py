"""The pieces of a unigram model as a double-array trie over characters: one addition and one load per character.

Characters are renumbered from 0 ("symbols"), the most common ones in pieces first, so that the array stays dense. The
child of the node at `slot` for `symbol` lies at `base[slot] + symbol`, if the `parent` stored there is `slot`.

Twin: tests/reference/piece_dictionary.py::pieces_at
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.compiled import kernel
from corpora.encoding.sentencepiece.model_proto import NORMAL, SentencePieceModel

ROOT = 0
NO_PIECE = -1
NODE = np.dtype([("parent", np.uint32), ("base", np.uint32), ("piece", np.int32), ("score", np.float32)])
_FREE = np.uint32(0xFFFFFFFF)


class PieceTrie(NamedTuple):
    """nodes: NODE[slots]. alphabet: the code point of each symbol. symbols: the symbol of each character."""

    nodes: NDArray[np.void]
    alphabet: NDArray[np.uint32]
    symbols: dict[str, int]


def piece_trie(model: SentencePieceModel) -> PieceTrie:
    """Only normal pieces: text never becomes a control piece or an unused one."""
    pieces = [(piece.text, number) for number, piece in enumerate(model.pieces) if piece.type == NORMAL]
    counts = Counter("".join(text for text, _ in pieces))
    alphabet = "".join(sorted(counts, key=lambda character: (-counts[character], character)))
    symbols = {character: symbol for symbol, character in enumerate(alphabet)}
    renumbered = str.maketrans({character: chr(_apart(symbol)) for character, symbol in symbols.items()})
    ordered = sorted((text.translate(renumbered), number) for text, number in pieces)
    starts = np.concatenate(([0], np.cumsum([len(text) for text, _ in ordered]))).astype(np.int64)
    numbers = np.array([number for _, number in ordered], np.int32)
    scores = np.array([model.pieces[number].score for number in numbers.tolist()], np.float32)
    nodes = _fitting(_symbols_of("".join(text for text, _ in ordered)), starts, numbers, scores, len(alphabet))
    return PieceTrie(nodes, np.frombuffer(alphabet.encode("utf-32-le"), np.uint32), symbols)


def _apart(symbol: int) -> int:
    """A code point for a symbol. Keeps the order, and skips the surrogates, which can't be encoded."""
    return symbol if symbol < 0xD800 else symbol + 0x800


def _symbols_of(renumbered: str) -> NDArray[np.int32]:
    codes = np.frombuffer(renumbered.encode("utf-32-le"), np.int32)
    return np.where(codes < 0xD800, codes, codes - 0x800).astype(np.int32)


def _fitting(
    symbols: NDArray[np.int32],
    starts: NDArray[np.int64],
    numbers: NDArray[np.int32],
    scores: NDArray[np.float32],
    alphabet: int,
) -> NDArray[np.void]:
    size = 2 * (len(symbols) + alphabet) + 2
    while True:
        nodes = np.zeros(size, NODE)
        nodes["parent"], nodes["piece"] = _FREE, NO_PIECE
        used = int(_build(nodes, symbols, starts, numbers, scores, alphabet))
        if used:
            return nodes[: used + alphabet + 1].copy()
        size *= 2


@kernel
def _build(  # type: ignore[no-untyped-def]
    nodes, symbols, starts, numbers, scores, alphabet
) -> int:
    """Places every node, level by level. pieces: `symbols[starts[i]:starts[i + 1]]`, sorted.

    Returns 0 if there are too few slots.
    """
    queue_size = symbols.shape[0] + 1
    slots, firsts = np.empty(queue_size, np.int64), np.empty(queue_size, np.int64)
    lasts, depths = np.empty(queue_size, np.int64), np.empty(queue_size, np.int64)
    slots[0], firsts[0], lasts[0], depths[0] = ROOT, 0, starts.shape[0] - 1, 0
    taken, queued = 0, 1
    children, ends = np.empty(alphabet, np.int64), np.empty(alphabet, np.int64)
    nodes[ROOT].parent = ROOT
    lowest_free, highest = 1, 0
    while taken < queued:
        slot, first, last, depth = slots[taken], firsts[taken], lasts[taken], depths[taken]
        taken += 1
        if starts[first] + depth == starts[first + 1]:  # a piece ends here, and sorts before its continuations
            nodes[slot].piece = numbers[first]
            nodes[slot].score = scores[first]
            first += 1
        count = 0
        for piece in range(first, last):
            symbol = np.int64(symbols[starts[piece] + depth])
            if count == 0 or children[count - 1] != symbol:
                children[count] = symbol
                count += 1
            ends[count - 1] = piece + 1
        nodes[slot].base = 1
        if count == 0:
            continue
        while lowest_free < nodes.shape[0] and nodes[lowest_free].parent != _FREE:
            lowest_free += 1
        base = max(lowest_free - children[0], 1)
        while base + alphabet < nodes.shape[0]:
            child = 0
            while child < count and nodes[base + children[child]].parent == _FREE:
                child += 1
            if child == count:
                break
            base += 1
        if base + alphabet >= nodes.shape[0]:
            return 0
        nodes[slot].base = base
        for child in range(count):
            place = base + children[child]
            nodes[place].parent = slot
            highest = max(highest, place)
            slots[queued], depths[queued] = place, depth + 1
            firsts[queued], lasts[queued] = first if child == 0 else ends[child - 1], ends[child]
            queued += 1
    return highest
