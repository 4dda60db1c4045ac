"""What a training on several folders of shards adds: validation by source, and what was read of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from corpora.rows.blend import Blend, opened
from corpora.rows.resolve import SPLIT, needed
from corpora.rows.shards import Shards
from tamiz.trainer.dataset import ShardDataset
from tamiz.trainer.history import Point
from tamiz.trainer.settings import TrainSettings

OF = "validation_loss/"  # in points of the history, before the name of a source


class HeldOut(NamedTuple):
    """The validation rows of one folder. name: empty if it is the only one. share: of the training rows."""

    name: str
    share: float
    data: ShardDataset


def held_out(shards: Path | Blend, settings: TrainSettings, *, with_documents: bool = False) -> list[HeldOut]:
    """Each folder's validation rows; folders without any are left out."""
    found = []
    for name, share, folder in _folders(shards):
        rows = folder.facts.rows.get("validation", 0)
        if rows:
            size = min(settings.batch_size, rows)
            data = ShardDataset(
                folder, "validation", batch_size=size, span_corruption=settings.span_corruption,
                with_documents=with_documents,
            )  # fmt: skip
            found.append(HeldOut(name, share, data))
    return found


def _folders(shards: Path | Blend) -> list[tuple[str, float, Shards]]:
    if isinstance(shards, Blend):
        return list(zip(shards.names, shards.shares, shards.sources, strict=True))
    folder = opened(shards)
    assert isinstance(folder, Shards), shards
    return [("", 1.0, folder)]


def validation_point(held: list[HeldOut], losses: list[float]) -> Point:
    """The mean of the folders' losses by their shares of the training rows, and each loss if there are several."""
    if len(held) == 1 and not held[0].name:
        return {"validation_loss": losses[0]}
    total = math.fsum(one.share for one in held)
    mean = math.fsum(one.share * loss for one, loss in zip(held, losses, strict=True)) / total
    return {"validation_loss": mean} | {f"{OF}{one.name}": loss for one, loss in zip(held, losses, strict=True)}


def mixture_metrics(shards: Path | Blend, data: ShardDataset, steps: int, history: list[Point]) -> dict[str, Any]:
    """For metrics.json: what a training of so many steps read of each source; empty if there is only one folder.

    asked: its share in the mixture's unit. exact: its share of an epoch's rows, in whole rows. realised: its share of
    the rows read. rows: how many were read, of rows_available. validation_loss: the last one; None without any.
    """
    if not isinstance(shards, Blend):
        return {}
    read = data.rows_read(steps)
    last = next((point for point in reversed(history) if "validation_loss" in point), {})
    sources = [
        {
            "name": source.name,
            "asked": source.asked,
            "exact": source.exact,
            "realised": rows / sum(read) if sum(read) else 0.0,
            "rows": rows,
            "rows_available": folder.facts.rows[SPLIT],
            "epochs": rows / folder.facts.rows[SPLIT],
            "validation_loss": last.get(f"{OF}{source.name}"),
        }
        for source, folder, rows in zip(needed(shards, sum(read)), shards.sources, read, strict=True)
    ]
    return {"mixture": {"method": shards.method, "unit": shards.unit, "sources": sources}}


def read_shares(shards: Path | Blend, data: ShardDataset, steps: int) -> dict[str, float]:
    """Each source's share of the rows that so many steps have read; empty if there is only one folder."""
    if not isinstance(shards, Blend) or not steps:
        return {}
    read = data.rows_read(steps)
    return {name: rows / sum(read) for name, rows in zip(shards.names, read, strict=True)}
