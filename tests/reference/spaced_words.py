"""What `encoding.cache` takes for words, by splitting strings: the twin of `word_scans.scan` and `word_scans`."""

from __future__ import annotations

import re


def words_of(text: str, separators: str) -> list[str]:
    """What stands between separators, one word or more; empty ones are none."""
    return [word for word in re.split(f"[{separators}]", text) if word]


def spaced_words_of(text: str) -> list[str]:
    """Each any number of spaces, then what follows up to the next one, which belongs to no word.

    A space that ends the text has an empty word after it.
    """
    found, begin = [], 0
    for space in re.finditer("(?<=[^ ]) ", text):
        found.append(text[begin : space.start()])
        begin = space.end()
    return [*found, text[begin:]] if text else []
