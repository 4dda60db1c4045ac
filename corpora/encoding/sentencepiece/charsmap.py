"""Which characters a SentencePiece charsmap replaces, alone and in sequences.

Source: google/sentencepiece src/normalizer.cc (`DecodePrecompiledCharsMap`); s-yata/darts-clone, units of 32 bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LONGEST_KEY = 64  # characters; a deeper trie is damaged, and walking it might never end


class Rules(NamedTuple):
    """alone: characters that are keys. starts, continuations: the first and the later characters of longer keys.

    replacements: the replacements of the keys, each followed by a NUL.
    """

    alone: frozenset[str]
    starts: frozenset[str]
    continuations: frozenset[str]
    replacements: bytes


@lru_cache(maxsize=4)
def read_rules(charsmap: bytes) -> Rules:
    """Raises ValueError if the trie is damaged."""
    if not charsmap:
        return Rules(frozenset(), frozenset(), frozenset(), b"")
    size = int.from_bytes(charsmap[:4], "little")
    if not 4 <= size <= len(charsmap) - 4:
        raise ValueError("its trie is truncated")
    units = np.frombuffer(charsmap, "<u4", size // 4, 4)
    characters, nodes = _next_characters(units, np.zeros(1, np.int64))
    alone = frozenset(c for c, leaf in zip(characters, (units[nodes] >> 8) & 1, strict=True) if leaf)
    goes_on = set(np.unique(trie_children(units, nodes)[0]).tolist())
    starts = frozenset(c for number, c in enumerate(characters) if number in goes_on)
    return Rules(alone, starts, _continuations(units, np.unique(nodes)), charsmap[4 + size :])


def _continuations(units: NDArray[np.uint32], nodes: NDArray[np.int64]) -> frozenset[str]:
    found: set[str] = set()
    for _ in range(_LONGEST_KEY):
        characters, nodes = _next_characters(units, nodes)
        if not characters:
            return frozenset(found)
        found.update(characters)
        nodes = np.unique(nodes)  # keys may share their tails in the trie
    raise ValueError("its trie has loops")


def _next_characters(units: NDArray[np.uint32], nodes: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """The characters that follow any of these nodes, and the node after each."""
    characters: list[str] = []
    ends = [np.zeros(0, np.int64)]
    prefixes = [b""] * len(nodes)
    for _ in range(4):
        parents, labels, nodes = trie_children(units, nodes)
        prefixes = [prefixes[p] + bytes((c,)) for p, c in zip(parents.tolist(), labels.tolist(), strict=True)]
        whole = np.array([len(p) == _length(p[0]) for p in prefixes], bool)
        characters += [p.decode() for p, is_whole in zip(prefixes, whole.tolist(), strict=True) if is_whole]
        ends.append(nodes[whole])
        prefixes = [p for p, is_whole in zip(prefixes, whole.tolist(), strict=True) if not is_whole]
        nodes = nodes[~whole]
    return characters, np.concatenate(ends)


def _length(lead: int) -> int:
    """The number of bytes of a UTF-8 character, from its first byte."""
    return 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)


def trie_children(
    units: NDArray[np.uint32], nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each child: the position of its parent in `nodes`, its label, its node."""
    unit = units[nodes].astype(np.int64)
    base = nodes ^ ((unit >> 10) << ((unit & 512) >> 6))
    parents, labels, children = [], [], []
    for label in range(1, 256):
        child = np.minimum(base ^ label, len(units) - 1)
        here = np.flatnonzero((units[child] & 0x800000FF) == label)
        parents.append(here)
        labels.append(np.full(len(here), label))
        children.append(child[here])
    return np.concatenate(parents), np.concatenate(labels), np.concatenate(children)
