"""GPT-2's words by its own regular expression (openai/gpt-2 src/encoder.py): the twin of `encoding.gpt2.words`."""

from __future__ import annotations

import regex

PATTERN = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")


def words_of(text: str) -> list[str]:
    found: list[str] = PATTERN.findall(text)
    return found
