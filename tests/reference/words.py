"""What a word is, readably: the twin of corpora.words.table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from corpora.words.table import LONGEST_WORD, Words


def words_of(text: str, keep_spaces: bool) -> list[str]:
    """The words of a document, long ones cut."""
    if keep_spaces:
        found = re.findall(r"[\n\r]+| *[^\0\t\n\r ]+| +", f" {text}")
    else:
        found = [word for word in re.split("[\0\t\n\f\r ]", text) if word]
    return [part for word in found for part in parts(word)]


def parts(word: str) -> list[str]:
    """The longest beginnings of whole characters within LONGEST_WORD bytes, one after the other."""
    found, data = [], word.encode()
    while data:
        part = data[:LONGEST_WORD].decode(errors="ignore")
        found.append(part)
        data = data[len(part.encode()) :]
    return found


def count(texts: Iterable[str], keep_spaces: bool) -> Counter[str]:
    return Counter(word for text in texts for word in words_of(text, keep_spaces))


def as_counter(words: Words) -> Counter[str]:
    data, offsets = words.data.tobytes(), words.offsets.tolist()
    pairs = zip(offsets[:-1], offsets[1:], words.counts.tolist(), strict=True)
    return Counter({data[start:stop].decode(): number for start, stop, number in pairs})
