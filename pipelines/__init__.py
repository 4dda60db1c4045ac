"""Runs the pure functions on Beam: descriptors move between workers, text doesn't. Only this package imports Beam.

Start with `once.py` (what makes a unit of work restartable), `stage.py` (what every stage shares), `items.py`
(reads one item) and `annotate.py` (the shortest stage). `transforms.py` is for your own pipelines.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AnnotateDocuments": "pipelines.transforms",
    "AnnotateWork": "pipelines.annotate",
    "BuildShards": "pipelines.transforms",
    "EvaluateTokenizers": "pipelines.transforms",
    "EvaluateWork": "pipelines.evaluate",
    "ItemResult": "pipelines.once",
    "SampleDocuments": "pipelines.transforms",
    "SampleWork": "pipelines.sample",
    "ScoreDocuments": "pipelines.transforms",
    "ScoreWork": "pipelines.score",
    "ShardWork": "pipelines.shards",
    "WorkItem": "corpora.documents.item",
    "work_items": "corpora.documents.items",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipelines' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
