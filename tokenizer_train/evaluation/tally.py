"""The counts of a tokenizer on a group of documents: integers, so they add up in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt


class Tally(msgspec.Struct, kw_only=True):
    """Counts. num_bytes: of UTF-8. words: as defined in `words`. characters: code points. unspaced: those
    of scripts without spaces between words. unknown: ids equal to unk_id.

    differs_from_normalised, differs_from_raw: documents whose decoded ids differ from the normalised text, or from
    the raw text.
    auto_*: documents compared with tokenizer.json, those that it encodes differently, and those left out: because
    they contain a special string such as `</s>`, which AutoTokenizer turns into the special id, or are too long.
    used: a bit for each id, set where it occurred (numpy.packbits).
    """

    documents: int = 0
    num_bytes: int = 0
    characters: int = 0
    unspaced: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    continued_words: int = 0
    differs_from_normalised: int = 0
    differs_from_raw: int = 0
    auto_compared: int = 0
    auto_differs: int = 0
    auto_special: int = 0
    auto_too_long: int = 0
    used: bytes = b""

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        total = cls()
        for tally in tallies:
            for name in COUNTS:
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.used = _either(total.used, tally.used)
        return total


UNSPACED = 0.25  # above this share of characters in scripts without spaces, counts of words mean little
COUNTS = tuple(name for name in Tally.__struct_fields__ if name != "used")


def bits(used: npt.NDArray[np.bool_]) -> bytes:
    return np.packbits(used).tobytes()


def _either(a: bytes, b: bytes) -> bytes:
    if not a or not b:
        return a or b
    return (np.frombuffer(a, np.uint8) | np.frombuffer(b, np.uint8)).tobytes()


def figures(tally: Tally, vocab_size: int, *, has_unknown: bool, has_auto: bool) -> dict[str, Any]:
    """Counts and ratios, as in eval.json. A ratio is None if its denominator is 0, or if it has no meaning."""
    used = int(np.unpackbits(np.frombuffer(tally.used, np.uint8)).sum())
    auto = {name.removeprefix("auto_"): getattr(tally, name) for name in COUNTS if name.startswith("auto_")}
    return {
        "documents": tally.documents,
        "bytes": tally.num_bytes,
        "characters": tally.characters,
        "unspaced_characters": tally.unspaced,
        "words": tally.words,
        "tokens": tally.tokens,
        "unknown": tally.unknown if has_unknown else None,
        "continued_words": tally.continued_words,
        "ids_used": used,
        "fertility": _ratio(tally.tokens, tally.words),
        "bytes_per_token": _ratio(tally.num_bytes, tally.tokens),
        "tokens_per_1000_characters": _ratio(1000 * tally.tokens, tally.characters),
        "unknown_rate": _ratio(tally.unknown, tally.tokens) if has_unknown else None,
        "continued_word_share": _ratio(tally.continued_words, tally.words),
        "vocabulary_use": _ratio(used, vocab_size),
        "round_trip": {
            "differs_from_normalised": tally.differs_from_normalised,
            "differs_from_raw": tally.differs_from_raw,
        },
        "auto_tokenizer": auto if has_auto else None,
    }


def words_mean_little(found: Mapping[str, Any]) -> bool:
    """Whether much of the text is in scripts that don't separate words by spaces. found: what `figures` returned."""
    return bool(found["unspaced_characters"] > UNSPACED * found["characters"])


def _ratio(value: int, of: int) -> float | None:
    return value / of if of else None
