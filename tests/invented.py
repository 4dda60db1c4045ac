"""Text that no one wrote: sentences of invented words, some frequent, most rare."""

from __future__ import annotations

import random

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "ro", "su", "tá", "ñe", "vi", "xo", "ze")


def sentences(number: int, words: int = 400, seed: int = 0) -> list[list[str]]:
    """`number` sentences of 1 to 14 of `words` words, drawn by Zipf's law; every third continues in a set phrase."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(words)]
    weights = [1 / (rank + 1) for rank in range(words)]
    made = [draw.choices(vocabulary, weights, k=draw.randint(1, 10)) for _ in range(number)]
    return [s + vocabulary[:4] if n % 3 == 0 else s for n, s in enumerate(made)]


def document(number: int, seed: int = 0) -> str:
    """A text of some lines, blank ones, capitals, digits, dashes and accents among them."""
    draw = random.Random(f"{seed}-{number}")
    lines = [" ".join(s).capitalize() for s in sentences(draw.randint(1, 6), seed=number)]
    lines.insert(draw.randint(0, len(lines)), draw.choice(["", "  ", f"— Año {number}: «¿Qué?» …", "ÁRBOL 3,14 %"]))
    return "\n".join(lines)
