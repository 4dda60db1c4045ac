"""Beam around the pure functions: descriptors move, text doesn't. The only importer of apache_beam."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ScoreDocuments": "pipelines.score",
    "SampleDocuments": "pipelines.sample",
    "BuildShards": "pipelines.shards",
    "work_items": "corpora.documents.items",
    "WorkItem": "corpora.documents.item",
    "ItemResult": "pipelines.once",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
