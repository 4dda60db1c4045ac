"""The words that a language model reserves, `<s>`, `</s>` and `<unk>`, in raw words: refused, or skipped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from corpora.errors import TamizError

SPECIAL_WORDS = ("<unk>", "<s>", "</s>")
_BORDER = r"[^\0\t\r\n ]"  # lmplz's words end at these and nowhere else
_RESERVED = re.compile(rf"(?<!{_BORDER})(?:{'|'.join(SPECIAL_WORDS)})(?!{_BORDER})")


class ReservedWords:
    """Passes texts on without reserved words. where: says which text was passed on last."""

    def __init__(self, *, skip: bool, where: Callable[[], str | None]) -> None:
        self.skipped = 0
        self._skip = skip
        self._where = where

    def checked(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts; a reserved word is left out, as lmplz's --skip_symbols does, or raises TamizError."""
        for text in texts:
            if any(word in text for word in SPECIAL_WORDS):
                yield self._without(text)
            else:
                yield text

    def _without(self, text: str) -> str:
        found = _RESERVED.search(text)
        if found is not None and not self._skip:
            raise TamizError(reserved_word(found[0], self._where()))
        text, number = _RESERVED.subn(" ", text)
        self.skipped += number
        return text


def reserved_word(word: str, place: str | None = None) -> str:
    where = f"{place}: " if place else ""
    return (
        f"{where}the text contains the word {word!r}, which the model reserves: remove it, "
        "or leave such words out with --skip-symbols (skip_symbols)"
    )
