"""Sentinels: their names, the error for a missing one, and their part in an encoder's identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import count

from corpora.errors import BadArgument

MOST_IDS = 1 << 24
_SPELLINGS = ("<extra_id_{}>", "▁<extra_id_{}>")  # the second: mT5's pieces


def sentinel_name(number: int) -> str:
    return f"<extra_id_{number}>"


def find_sentinels(vocabulary: Mapping[str, int]) -> list[int]:
    """The ids of `<extra_id_0>`, `<extra_id_1>` and so on, up to the first that is missing."""
    for spelling in _SPELLINGS:
        found: list[int] = []
        for number in count():
            token = vocabulary.get(spelling.format(number))
            if token is None:
                break
            found.append(token)
        if found:
            return found
    return []


def check_sentinel(number: int, num_sentinels: int) -> None:
    """Raises BadArgument."""
    if not 0 <= number < num_sentinels:
        raise BadArgument(
            f"sentinel {number} is needed, but the tokenizer has only {num_sentinels}: "
            "use one with more extra_ids, a longer mean_noise_span_length or a shorter sequence_length"
        )


def identity(engine_file: bytes, num_sentinels: int, where: str = "") -> str:
    """A sha256 of everything that ids depend on: the same file with other sentinels is another encoder.

    where: how the sentinels lie, if not downwards from the highest id.
    """
    return hashlib.sha256(engine_file + f" {num_sentinels} sentinels{where}".encode()).hexdigest()
