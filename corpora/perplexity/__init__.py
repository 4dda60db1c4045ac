"""normalise -> pieces -> n-gram score; KenLM binaries; estimation of language models."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"PerplexityModel": "corpora.perplexity.model"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'corpora.perplexity' has no attribute {name!r}")
