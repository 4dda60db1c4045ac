"""The pieces that begin somewhere in a text, by a dictionary: the twin of `encoding.sentencepiece.piece_trie`."""

from __future__ import annotations


def pieces_at(text: str, begin: int, pieces: dict[str, int]) -> list[tuple[int, int]]:
    """(end, id) of each, the shortest first."""
    ends = range(begin + 1, len(text) + 1)
    return [(end, pieces[text[begin:end]]) for end in ends if text[begin:end] in pieces]
