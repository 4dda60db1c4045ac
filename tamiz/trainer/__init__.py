"""Trains models from packed shards. The only package that imports torch; `tamiz.trainer.settings` does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamiz.trainer.dataset import ShardDataset

__all__ = ["ShardDataset"]


def __getattr__(name: str) -> object:
    """Imports torch only when a name that needs it is asked for (PEP 562)."""
    if name == "ShardDataset":
        from tamiz.trainer.dataset import ShardDataset

        return ShardDataset
    raise AttributeError(f"module 'tamiz.trainer' has no attribute {name!r}")
