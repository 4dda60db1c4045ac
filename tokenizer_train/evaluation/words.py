"""Words, and how many of them a tokenizer splits.

A word is text between white space (`str.split`), including punctuation. It is encoded alone, as it would be in
running text after a space: with a space before it if pieces include their space (`Ġla`, `▁la`) and the tokenizer
doesn't add one before a text, otherwise without. It is *continued* if that gives more than one id (Rust et al. 2021,
arXiv:2012.15613). A space mark that is a piece of its own (`▁` `中`) counts as one of the word's ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from corpora.encoding import Encoder
from corpora.texts import utf8

MOST_SPLIT = 1 << 17  # words at once: all words of a 50 MB document would take half a gigabyte
SPACES = ("▁", "Ġ", " ")  # how pieces spell a space: SentencePiece, byte-level BPE, plain


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Distinct words and how often each occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        rest = text
        while len(parts := rest.split(None, MOST_SPLIT)) > MOST_SPLIT:
            rest = parts.pop()
            counts.update(parts)
        counts.update(parts)
    return counts


def count_unspaced(utf8: npt.NDArray[np.uint8]) -> int:
    """The number of characters of scripts that don't separate words by spaces, in valid UTF-8.

    Chinese and Japanese (U+3000-9FFF, U+20000-33FFF), Thai, Lao and Tibetan (U+0E00-0FFF), Myanmar (U+1000-10BF) and
    Khmer (U+1780-17FF), recognised by a character's first two bytes.
    """
    first, second = utf8[:-1], utf8[1:]
    three = (first >= 0xE3) & (first <= 0xE9)
    thai = (first == 0xE0) & (second >= 0xB8)
    khmer = (first == 0xE1) & ((second <= 0x82) | (second == 0x9E) | (second == 0x9F))
    rare = (first == 0xF0) & (second >= 0xA0) & (second <= 0xB3)
    return sum(int(np.count_nonzero(found)) for found in (three, thai, khmer, rare))


def word_prefix(encoder: Encoder) -> str:
    """The string to put before a word so that it is encoded as if after a space: a space, or nothing."""
    pieces = map(encoder.id_to_piece, range(encoder.vocab_size))
    if not any(len(piece) > 1 and piece.startswith(SPACES) for piece in pieces):
        return ""
    once, twice = encoder.encode_batch(["a", "a a"])
    return "" if np.array_equal(twice, np.concatenate([once, once])) else " "


def continued(encoder: Encoder, words: Counter[str], prefix: str) -> int:
    """The number of occurrences of words with more than one id."""
    if not words:
        return 0
    ids = encoder.encode_flat(utf8([prefix + word for word in words]))
    occurrences = np.fromiter(words.values(), np.int64, len(words))
    return int(occurrences[np.diff(ids.offsets) > 1].sum())
