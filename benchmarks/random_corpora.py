"""Compares both estimators of `tamiz lm train` with lmplz and build_binary, on tiny random corpora.

The corpora have 1 to 400 lines and 1 to 300 words; orders are 2 to 6, with and without pruning. Nearly all corpora
need a fallback discount.
"""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Protocol
from unittest import mock

from corpora.errors import TamizError
from corpora.perplexity import train_lm
from corpora.perplexity.settings import LmSettings

PRUNINGS = (None, None, (0, 1), (0, 0, 1), (1, 1, 2), (2,), (0, 1, 2))
SEPARATORS = (" ", " ", " ", "  ", "\t", " \r")
SIZES = {"numpy": 1 << 60, "compiled": 0}  # inputs below this size take the numpy path


class Programs(Protocol):
    def command(self, pieces: Path, order: int, memory: str, prune: tuple[int, ...], out: Path) -> list[str]:
        """A command that runs lmplz and build_binary."""


def random_corpus(seed: int) -> tuple[list[str], LmSettings]:
    """(lines, none of them blank; settings of the estimator)."""
    draw = random.Random(seed)
    words = draw.choice((1, 2, 5, 20, 100, 300))
    weights = [1 / (rank + 1) ** draw.choice((0, 0.5, 1)) for rank in range(words)]
    names = [f"w{rank}" if rank % 3 else chr(0xE0 + rank % 60) * (rank % 5 + 1) + str(rank) for rank in range(words)]
    lines = []
    for _ in range(draw.choice((1, 2, 3, 8, 50, 400))):
        chosen = draw.choices(names, weights, k=draw.randint(1, draw.choice((1, 3, 12))))
        lines.append("".join(word + draw.choice(SEPARATORS) for word in chosen))
    order = draw.randint(2, 6)
    prune = draw.choice(PRUNINGS)
    return lines, LmSettings(words=True, order=order, prune=prune[:order] if prune else None)


def ours(lines: list[str], settings: LmSettings, out: Path, small_below: int) -> bytes | None:
    """The content of the model file; None if the corpus was refused."""
    with mock.patch.object(train_lm, "SMALL_INPUT", small_below):
        try:
            train_lm.train_lm(lines, out, settings=settings)
        except TamizError:
            return None
    return out.read_bytes()


def theirs(programs: Programs, lines: list[str], settings: LmSettings, folder: Path) -> bytes | None:
    text, out = folder / "text", folder / "theirs.bin"
    text.write_bytes("".join(line + "\n" for line in lines).encode())
    out.unlink(missing_ok=True)
    command = programs.command(text, settings.order, "100M", settings.prune or (), out)
    failed = subprocess.run(command, capture_output=True).returncode
    return None if failed else out.read_bytes()


def compare_random(programs: Programs, number: int, folder: Path) -> None:
    """Prints how many corpora gave equal files, were refused by both, or gave different results, and lists those."""
    outcomes: Counter[str] = Counter()
    for seed in range(number):
        lines, settings = random_corpus(seed)
        expected = theirs(programs, lines, settings, folder)
        for name, size in SIZES.items():
            found = ours(lines, settings, folder / "ours.bin", size)
            outcome = "different" if found != expected else "refused by both" if found is None else "equal"
            outcomes[f"{name}: {outcome}"] += 1
            if found != expected:
                said = ["refused" if data is None else f"{len(data)} bytes" for data in (found, expected)]
                print(f"seed {seed} {name}: {said[0]}, lmplz | build_binary {said[1]}", flush=True)
    for outcome, times in sorted(outcomes.items()):
        print(f"{outcome:28}{times:6}")
