"""What a tokenizer makes of some of the texts that it learned from: for its card, at the end of its training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from corpora.encoding import Encoder
from corpora.texts import utf8
from tokenizer_train.evaluation.candidate import load_candidate
from tokenizer_train.evaluation.measure import Texts, measure
from tokenizer_train.evaluation.tally import figures

MOST_TOKENS = 8  # words of as many tokens or more are counted together


def evaluate(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Figures as in eval.json, and `tokens_of_words`: how many words have 1, 2, ... MOST_TOKENS or more."""
    candidate = load_candidate(str(folder), folder.name, compare_auto=False)
    given = Texts(texts)
    has_unknown = candidate.encoder.unk_id is not None
    found = figures(measure(candidate, given), candidate.encoder.vocab_size, has_unknown=has_unknown, has_auto=False)
    return {**found, "tokens_of_words": tokens_of_words(candidate.encoder, given.words, candidate.prefix)}


def tokens_of_words(encoder: Encoder, words: Counter[str], prefix: str) -> list[int]:
    """Occurrences of words by their number of tokens, from 1 to MOST_TOKENS. prefix: see `words`."""
    if not words:
        return [0] * MOST_TOKENS
    ids = encoder.encode_flat(utf8([prefix + word for word in words]))
    occurrences = np.fromiter(words.values(), np.int64, len(words))
    tokens = np.clip(np.diff(ids.offsets), 1, MOST_TOKENS)
    found: list[int] = np.bincount(tokens, occurrences, MOST_TOKENS + 1)[1:].astype(np.int64).tolist()
    return found
