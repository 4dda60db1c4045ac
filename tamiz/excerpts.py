"""Beginnings of texts for pages and cards: on one line, without characters that hide or turn others."""

from __future__ import annotations

import re
import unicodedata

SHOWN_CHARACTERS = 300
READ_CHARACTERS = 20 * SHOWN_CHARACTERS  # taken from each text before white space is collapsed
_JOINERS = "\u200c\u200d"  # Persian and emoji need them
_DROPPED = "\u00ad\u200b\u2060\ufeff"  # invisible and harmless: soft hyphens, word joiners, byte order marks
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_REPLACEMENT = "\ufffd"


def shown(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """The beginning of a text as `visible` returns it, cut after a word if one ends nearby."""
    line = visible(text[:READ_CHARACTERS])
    if len(line) <= characters and len(text) <= READ_CHARACTERS:
        return line
    cut = line[:characters]
    at_word = re.sub(r"\s+\S{0,24}$", "", cut)
    return f"{at_word or cut} …"


def visible(text: str) -> str:
    """Puts a text on one line, not yet escaped for HTML.

    Control characters, unassigned characters and characters that change the writing direction become U+FFFD.
    """
    return " ".join("".join(map(_visible, text)).split())


def _visible(character: str) -> str:
    if character.isspace() or character in _JOINERS:
        return character
    if character in _DROPPED:
        return ""
    return _REPLACEMENT if unicodedata.category(character) in _HIDDEN else character
