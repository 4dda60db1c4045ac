"""How many tokens of a text a language model may not know before its scores mean nothing.

A model with the tokenizer of another, or text normalised in another way, shows as tokens that it never saw. A model's
own pieces cover the characters of its language, so hardly any of them is unknown. Raw words are different: of
web text, a model of 12 MB of Spanish didn't know 6%, one of 0.3 MB 39%; and of Portuguese, the first 48%.
"""

from __future__ import annotations

from typing import NamedTuple

from corpora.perplexity.settings import ScoringMode

ALL = "all"  # the language of a model that scores everything
TOKENS, UNKNOWN_TOKENS = "tokens", "unknown_tokens"  # facts of a manifest: language -> how many
LEAST_TOKENS = 1000  # fewer say nothing


class Bounds(NamedTuple):
    """Shares of unknown tokens: above `warn`, something may be wrong; above `refuse`, the scores mean nothing."""

    warn: float
    refuse: float


PIECES, WORDS = Bounds(0.05, 0.3), Bounds(0.25, 0.6)
MISFIT = Bounds(0.03, 0.1)
"""Shares of a model's unigrams that its tokenizer never makes: below 0.5% if it is its own, 2% to 70% otherwise."""
BOUNDS: dict[ScoringMode, Bounds] = {"lines": PIECES, "ccnet": PIECES, "bertin": WORDS}


def unknown_share(tokens: int, unknown: int) -> float | None:
    """The share, or None if there are too few tokens to tell."""
    return unknown / tokens if tokens >= LEAST_TOKENS else None
