"""Sentinels: their names, the error for a missing one, and their part in an encoder's identity."""

from __future__ import annotations

import hashlib

from corpora.errors import BadArgument


def sentinel_name(number: int) -> str:
    return f"<extra_id_{number}>"


def check_sentinel(number: int, num_sentinels: int) -> None:
    """Raises BadArgument."""
    if not 0 <= number < num_sentinels:
        raise BadArgument(
            f"sentinel {number} is needed, but the tokenizer has only {num_sentinels}: "
            "use one with more extra_ids, a longer mean_noise_span_length or a shorter sequence_length"
        )


def identity(engine_file: bytes, num_sentinels: int) -> str:
    """A sha256 of everything that ids depend on: the same file with other sentinels is another encoder."""
    return hashlib.sha256(engine_file + f" {num_sentinels} sentinels".encode()).hexdigest()
