"""Joins the parts of a sample's items into fewer, larger parts: a second pass, over what the first left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpora.documents.carried import CarriedColumn
from corpora.documents.item import WorkItem
from corpora.documents.joined import JoinedPart, join_documents, joined_parts, part_name
from corpora.documents.sources import Inputs, owner_of
from corpora.home import Home
from corpora.manifest import PROGRESS
from pipelines.once import ItemResult

ITEM_PARTS = f"{PROGRESS}/parts"
"""Where the first pass leaves the items' parts, below the sample's folder."""
SHARE = 0.2  # of the time of a sample that joining takes, for the progress


@dataclass(frozen=True)
class JoinWork:
    """Writes <out>/part-NNNNN.<format>: the rows of a part's items, in order. Memory: one group of rows.

    columns, carried: as the items' parts have them.
    """

    out: str
    fingerprint: str
    format: str
    columns: Mapping[str, str]
    carried: tuple[CarriedColumn, ...] = ()

    def __call__(self, part: JoinedPart) -> ItemResult:
        home = Home.of(self.out)
        files = [home.at(f"{ITEM_PARTS}/{part_file(item, self.format)}") for item in part.items]
        path = home.at(part_file(part.number, self.format))
        record = join_documents(files, path, self.format, self.columns, self.carried)
        return ItemResult(name=part.name, number=part.number, files=[record])


def part_file(number: int, format: str) -> str:
    return f"{part_name(number)}.{format}"


def source_names(inputs: Inputs) -> list[str]:
    """The names that sources have been given, sorted."""
    return sorted({given.name for given in inputs if not isinstance(given, str) and given.name})


def parts_of(
    results: Sequence[ItemResult], items: Sequence[WorkItem], names: Sequence[str], part_bytes: int
) -> list[JoinedPart]:
    """The parts to make of the items' parts. None spans two of the sources with these names."""
    sources = [owner_of(item.name, names) for item in items]
    return joined_parts([result.scratch[0].bytes for result in results], sources, part_bytes)


def part_facts(parts: Sequence[JoinedPart], items: Sequence[WorkItem], format: str) -> list[dict[str, Any]]:
    """For the manifest: which items each file holds."""
    return [
        {"file": part_file(part.number, format), "items": [items[number].name for number in part.items]}
        for part in parts
    ]
