"""Perplexity as its definition says, a line at a time: the slow twin of `corpora.perplexity.model`."""

from __future__ import annotations

import math
from typing import Any

from tests.reference import ccnet_normalise


def perplexity(model: Any, tokenizer: Any, mode: str, text: str) -> tuple[float, int]:
    """(perplexity, N) under a `kenlm.Model`. tokenizer: a SentencePieceProcessor; None in mode bertin."""
    total, length = 0.0, 0
    for line in [text] if mode == "ccnet" else text.split("\n"):
        if mode != "bertin":
            line = " ".join(tokenizer.encode(ccnet_normalise.normalise(line), out_type=str))
        total += model.score(line)
        length += len(line.split()) + 1
    if mode == "ccnet" and length == 1:
        return math.nan, 0  # cc_net's DocLM returns a document without pieces as it is, without a perplexity
    return 10.0 ** (-total / length), length
