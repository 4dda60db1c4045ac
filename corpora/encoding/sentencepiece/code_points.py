"""What the normaliser and SentencePiece's rules turn each raw character into, whatever its neighbours.

A word whose characters all have such a fixed result is normalised by looking each one up. Other characters (capital
sigma, combining marks that can be reordered, Hangul letters, anything that may join the character before it) are
marked, and a word that has one goes through Python and SentencePiece.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.sentencepiece.charsmap import Rules
from corpora.text.normalise import Normaliser

CODE_POINTS = 0x20000  # the higher planes hold rare characters, which are marked
SPACE = "▁"
_APART = "\ue000"  # private use, so no rule joins anything across it; marked itself
LEFT_OUT = (range(0xD800, 0xE000), range(0x10000, 0x1F000))  # surrogates; rare scripts, too slow to map


class CharacterMap(NamedTuple):
    """Code point c becomes `characters[starts[c]:starts[c + 1]]`, spaces as `▁`, unless `depends[c]`.

    characters: uint32 code points; starts: int64[CODE_POINTS + 1]; depends: bool[CODE_POINTS].
    """

    characters: NDArray[np.uint32]
    starts: NDArray[np.int64]
    depends: NDArray[np.bool_]


def normalise_function(normaliser: Normaliser | None) -> Callable[[str], str]:
    """The function applied to a line of text before SentencePiece."""
    if normaliser is None:
        return str
    return normaliser.__call__


def character_map(processor: Any, rules: Rules, normaliser: Normaliser | None) -> CharacterMap:
    """`processor`: a SentencePieceProcessor with these rules, for which `why_not` has no objection."""
    characters = [chr(code) for code in range(CODE_POINTS)]
    for left_out in LEFT_OUT:
        characters[left_out.start : left_out.stop] = [_APART] * len(left_out)
    decomposed = "" if normaliser is None else normaliser.before(_joined(characters))
    normalised = characters if normaliser is None else _one_by_one(decomposed, normaliser)
    final = processor.normalize(_joined(normalised))[1:].split(_APART)[1:-1]
    depends = [
        found[:1] in rules.continuations or character == _APART
        for character, found in zip(characters, normalised, strict=True)
    ]
    if normaliser is not None:
        moved = _change_places(characters, decomposed, normaliser)
        depends = [a or b for a, b in zip(depends, moved, strict=True)]
    lengths = np.fromiter(map(len, final), np.int64, CODE_POINTS)
    return CharacterMap(
        np.frombuffer("".join(final).encode("utf-32-le"), np.uint32),
        np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
        np.array(depends),
    )


def _joined(texts: list[str]) -> str:
    return _APART + _APART.join("" if text == _APART else text for text in texts) + _APART


class _Replacements(dict[int, str]):
    def __init__(self, normaliser: Normaliser) -> None:
        super().__init__()
        self._normaliser = normaliser

    def __missing__(self, code: int) -> str:
        self[code] = self._normaliser.replace(chr(code))
        return self[code]


def _one_by_one(decomposed: str, normaliser: Normaliser) -> list[str]:
    """Each character normalised alone, but not stripped: SentencePiece removes spaces at the ends."""
    return decomposed.translate(_Replacements(normaliser)).split(_APART)[1:-1]


def _change_places(characters: list[str], decomposed: str, normaliser: Normaliser) -> list[bool]:
    """For each character, whether its result in CCNet's normaliser depends on its neighbours.

    How capital sigma is lowercased depends on its place in the word. NFD sorts marks by class; most are deleted
    (category Mn), but those that stay can change their order.
    """
    if not normaliser.remove_accents:
        return [c == "Σ" and normaliser.lower_case for c in characters]
    stay = {c for c in map(chr, range(CODE_POINTS)) if unicodedata.combining(c) and unicodedata.category(c) != "Mn"}
    parts = decomposed.split(_APART)[1:-1]
    sigma = "Σ" if normaliser.lower_case else None
    return [c == sigma or not stay.isdisjoint(part) for c, part in zip(characters, parts, strict=True)]
