"""Text to ids for any tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpora.encoding.encoder import Encoder, load_encoder

__all__ = ["Encoder", "load_encoder"]


def __getattr__(name: str) -> object:
    """Imports numpy only when a name that needs it is asked for (PEP 562)."""
    if name in __all__:
        from corpora.encoding import encoder

        return getattr(encoder, name)
    raise AttributeError(f"module 'corpora.encoding' has no attribute {name!r}")
