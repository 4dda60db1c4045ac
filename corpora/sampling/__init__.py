"""Perplexity sampling: keep probabilities, and the keyed draw.

kernels    perplexity -> keep probability (BERTIN's gaussian, stepwise, random)
solve      the factor that keeps a wanted share; kernels fitted to scores
draw       which documents are kept        quartiles  what share of each quartile was
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpora.sampling.draw import keep
    from corpora.sampling.kernels import Gaussian, Stepwise, Uniform

_HOME = {"Gaussian": "kernels", "Stepwise": "kernels", "Uniform": "kernels", "keep": "draw"}

__all__ = ["Gaussian", "Stepwise", "Uniform", "keep"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
