"""Perplexity sampling: keep probabilities, and the keyed draw.

methods    one file per sampler: settings, flags, fit, curve (BERTIN's gaussian, stepwise, random; CCNet's buckets)
curve      perplexity -> keep probability, whatever the method      solve       the factor that keeps a given share
groups     a sampler fitted to each language or source              draw        which documents are kept
histogram  scores, summarised                                       quartiles   what share of each quartile is kept
recommended  what `calibrate` shows
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpora.sampling.draw import keep
    from corpora.sampling.methods.gaussian import Gaussian
    from corpora.sampling.methods.random import Uniform
    from corpora.sampling.methods.stepwise import Stepwise

_HOME = {"Gaussian": "methods.gaussian", "Stepwise": "methods.stepwise", "Uniform": "methods.random", "keep": "draw"}

__all__ = ["Gaussian", "Stepwise", "Uniform", "keep"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
