"""A stored row, displayed for people: the building blocks of every objective's view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from corpora.errors import DamagedFile
from corpora.tokens.readable import Reader, Segment

Value = np.ndarray | int


class Row(NamedTuple):
    """A stored row and where it is. place: its index in the row group. rows: how many its split has."""

    number: int
    rows: int
    file: str
    group: int
    groups: int
    place: int
    columns: Mapping[str, Value]

    def ids(self, name: str) -> np.ndarray:
        """A list column. Raises DamagedFile if there is none of this name."""
        values = self.columns.get(name)
        if not isinstance(values, np.ndarray):
            raise DamagedFile(f"{self.file} has no column {name} of lists; build the shards again")
        return values

    def value(self, name: str) -> int | None:
        """A plain column; None if there is none of this name. Raises DamagedFile for a list column."""
        value = self.columns.get(name)
        if isinstance(value, np.ndarray):
            raise DamagedFile(f"{self.file}: column {name} holds lists, not numbers; build the shards again")
        return value


class View(NamedTuple):
    """What is shown of a row. facts: (name, value). problems: things that shouldn't occur."""

    segments: list[Segment]
    facts: list[tuple[str, str]]
    problems: list[str]


def filled(length: int, width: int) -> str:
    """How many of `width` ids aren't padding."""
    return f"{length:,} ids" + (f" of {width:,}; {width - length:,} padding" if length < width else "")


def name_of(token: int | None, reader: Reader) -> str:
    """The name of a special id, or its number if it has no name."""
    return (reader.vocabulary.name(token) if token is not None else None) or str(token)


def padding(number: int, reader: Reader) -> list[Segment]:
    """All of a row's padding, as one segment."""
    return [Segment(f" {name_of(reader.vocabulary.pad_id, reader)} x {number:,}", "special")] if number > 0 else []


def without_first_spaces(segments: list[Segment]) -> list[Segment]:
    """Removes the space that a document's first piece carries from the beginning of lines."""
    befores = [Segment("\n", "text"), *segments]
    return [
        Segment(s.text.removeprefix(" "), s.kind) if before.text.endswith("\n") else s
        for before, s in zip(befores, segments, strict=False)
    ]
