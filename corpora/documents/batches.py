"""The readers' output: batches of documents, and the rows that aren't documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from corpora.texts import Utf8, utf8

if TYPE_CHECKING:
    from corpora.documents.carried import Carried

BLANK = "blank line"
FIRST_BYTES = 64


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that isn't a document. `reason` is a kind, or `kind: detail`; first_bytes: at most 64."""

    file: str
    row: int
    reason: str
    first_bytes: bytes

    @property
    def kind(self) -> str:
        """The reason without its detail. Counts are kept by kind."""
        return self.reason.partition(": ")[0]

    @property
    def blank(self) -> bool:
        """Blank lines are listed, but don't count toward --max-rejected."""
        return self.reason == BLANK


@dataclass(frozen=True, slots=True)
class DocumentBatch:
    """Documents in input order, and the rows rejected between them.

    rows        int32[n], 0-based row of each document in the whole file
    texts, urls, timestamps    n values each
    extra       column -> n values, for the columns that the caller named
    rejected    rows of this batch that aren't documents, in order
    bytes_read  the number of uncompressed bytes that this batch was read from
    damage      on an item's last batch only: why reading stopped there, and where
    carried     the columns that a sample carries over, if the caller asked for them and the format has them
    """

    rows: NDArray[np.int32]
    texts: list[str]
    urls: list[str | None]
    timestamps: list[str | None]
    extra: dict[str, list[str | None]]
    rejected: list[RejectedRow]
    bytes_read: int
    damage: str | None = None
    carried: Carried | None = None

    @property
    def total(self) -> int:
        """Documents and rejected rows."""
        return len(self.texts) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class TextBatch:
    """A DocumentBatch with only the texts."""

    rows: NDArray[np.int32]
    texts: Utf8
    rejected: list[RejectedRow]
    bytes_read: int
    damage: str | None = None

    @classmethod
    def of(cls, batch: DocumentBatch) -> Self:
        return cls(batch.rows, utf8(batch.texts), batch.rejected, batch.bytes_read, batch.damage)

    @property
    def total(self) -> int:
        """Documents and rejected rows."""
        return len(self.texts) + len(self.rejected)


Values = tuple[str | None, ...]  # a document's text, url and timestamp, then its extra columns
Outcome = Values | str  # a document, or the reason why the row isn't one


@dataclass(slots=True)
class BatchBuilder:
    """Gathers the rows of one batch, in order. columns: names of the extra columns."""

    file: str
    columns: tuple[str, ...]
    rows: list[int] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)

    def add(self, row: int, outcome: Outcome, raw: bytes) -> None:
        if isinstance(outcome, str):
            self.rejected.append(RejectedRow(self.file, row, outcome, bytes(raw[:FIRST_BYTES])))
        else:
            self.rows.append(row)
            self.values.append(outcome)

    def build(self, bytes_read: int, damage: str | None = None) -> DocumentBatch:
        transposed = list(zip(*self.values, strict=True)) or [()] * (3 + len(self.columns))
        values = [list(column) for column in transposed]
        return batch(self.rows, values, self.columns, self.rejected, bytes_read, damage)


def batch(
    rows: list[int] | range,
    values: list[list[str | None]],
    columns: tuple[str, ...],
    rejected: list[RejectedRow],
    bytes_read: int,
    damage: str | None = None,
) -> DocumentBatch:
    """A batch from columns. values: the lists of texts, urls and timestamps, then one for each of `columns`."""
    texts: list[str] = values[0]  # type: ignore[assignment]  # a kept text is never None
    return DocumentBatch(
        rows=np.asarray(rows, np.int32),
        texts=texts,
        urls=values[1],
        timestamps=values[2],
        extra=dict(zip(columns, values[3:], strict=True)),
        rejected=rejected,
        bytes_read=bytes_read,
        damage=damage,
    )
