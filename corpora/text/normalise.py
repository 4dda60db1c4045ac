"""CCNet's text normaliser: the form in which its language models see text.

Source: facebookresearch/cc_net, cc_net/text_normalizer.py, `normalize` with its default arguments: strip, lower, NFD
without category Mn (the result is not recomposed), `\\d` to 0, 34 punctuation marks to ASCII, and characters 0-31 and
127-159 deleted. A newline is character 10: it is deleted, which joins the words beside it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

_PUNCTUATION = {
    "，": ",",
    "。": ".",
    "、": ",",
    "„": '"',
    "”": '"',
    "“": '"',
    "«": '"',
    "»": '"',
    "１": '"',  # never reached: a digit is already 0
    "」": '"',
    "「": '"',
    "《": '"',
    "》": '"',
    "´": "'",
    "∶": ":",
    "：": ":",
    "？": "?",
    "！": "!",
    "（": "(",
    "）": ")",
    "；": ";",
    "–": "-",
    "—": " - ",
    "．": ". ",
    "～": "~",
    "’": "'",
    "…": "...",
    "━": "-",
    "〈": "<",
    "〉": ">",
    "【": "[",
    "】": "]",
    "％": "%",
    "►": "-",
}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class Normaliser(NamedTuple):
    """The normaliser's options of which models differ: CCNet's are the default, edugp's models have neither.

    Source: edugp/kenlm (Hub) model.py, `normalize(line, accent=remove_accents, case=lower_case)`.
    """

    lower_case: bool = True
    remove_accents: bool = True

    def __call__(self, line: str) -> str:
        """`line` as the model sees it."""
        return normalise(line) if self == CCNET else _normalise(line, self)

    def before(self, text: str) -> str:
        """The steps that look at more than one character."""
        text = text.lower() if self.lower_case else text
        return unicodedata.normalize("NFD", text) if self.remove_accents else text

    def replace(self, character: str) -> str:
        """The steps that look at one character."""
        is_mark = not self.remove_accents and unicodedata.category(character) == "Mn"
        return character if is_mark else replace_character(character)


CCNET = Normaliser()


class _Replacements(dict[str, str]):
    """Maps runs of characters to their replacements, which don't depend on neighbours."""

    def __init__(self, normaliser: Normaliser) -> None:
        super().__init__()
        self._replace = normaliser.replace

    def __missing__(self, run: str) -> str:
        if len(run) > 1:  # too many different runs to cache
            return "".join(map(self.__getitem__, run))
        self[run] = self._replace(run)
        return self[run]


def replace_character(character: str) -> str:
    if unicodedata.category(character) == "Mn":
        return ""
    if character.isdecimal():  # what `\d` matches in a str pattern: category Nd
        return "0"
    if "\x7f" <= character <= "\x9f" or character < " ":
        return ""
    return _PUNCTUATION.get(character, character)


_replacements = _Replacements(CCNET)
_ASCII = {code: replace_character(chr(code)) for code in range(128)}


def normalise(line: str) -> str:
    """`line` as CCNet's models see it. Equal to cc_net's `normalize(line)` for every str of this Python's Unicode."""
    line = line.strip().lower()
    if not line.isascii():
        line = _NOT_ASCII.sub(lambda run: _replacements[run[0]], unicodedata.normalize("NFD", line))
    return line.translate(_ASCII)


def _normalise(line: str, normaliser: Normaliser) -> str:
    line = normaliser.before(line.strip())
    if not line.isascii():
        replacements = _replacements_of(normaliser)
        line = _NOT_ASCII.sub(lambda run: replacements[run[0]], line)
    return line.translate(_ASCII)


@cache
def _replacements_of(normaliser: Normaliser) -> _Replacements:
    return _Replacements(normaliser)
