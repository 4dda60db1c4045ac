"""Reads one work item for a stage: passes its documents on, sets rejected rows aside, and counts both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from corpora import manifest
from corpora.documents.carried import CarriedColumn
from corpora.documents.item import WorkItem
from corpora.documents.reading import (
    DocumentBatch,
    RejectedRow,
    TextBatch,
    read_batches,
    read_carrying,
    read_texts,
)
from corpora.documents.rejected import RejectedWriter
from corpora.home import Home, Place
from corpora.manifest import FileRecord
from corpora.stopping import go_on
from corpora.texts import Utf8
from pipelines.once import ItemResult

Batch = TypeVar("Batch", DocumentBatch, TextBatch)


class ItemReader:
    """The rows of one item, read once, inside a `with` block.

    Rejected rows go to <out>/rejected/<name>.jsonl. The file is written as a whole when the block ends without an
    exception, and only if any row was rejected. columns: additional columns of the documents that the stage needs.

        with ItemReader(out, item) as reader:
            for batch in reader.batches():
                ...
        return reader.result(kept=...)
    """

    def __init__(self, out: Place, item: WorkItem, columns: tuple[str, ...] = ()) -> None:
        self.out = Home.of(out)
        self.item = item
        self.read = 0
        """Rows read so far, rejected ones included."""
        self._columns = columns
        self._damage: str | None = None
        self._rejected = RejectedWriter(self.out.at(f"{manifest.REJECTED}/{item.name}.jsonl"))
        self._pending: list[RejectedRow] = []

    def __enter__(self) -> Self:
        self._rejected.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rejected.__exit__(kind, error, trace)

    def batches(self) -> Iterator[DocumentBatch]:
        for batch in read_batches(self.item, columns=self._columns):
            yield from self._noted(batch)

    def carrying(self, carry: Sequence[CarriedColumn]) -> Iterator[DocumentBatch]:
        """As `batches`; each batch carries the columns that a sample keeps besides the usual ones."""
        for batch in read_carrying(self.item, carry, columns=self._columns):
            yield from self._noted(batch)

    def text_batches(self) -> Iterator[TextBatch]:
        """Only the texts: faster than `batches` for JSON lines."""
        for batch in read_texts(self.item):
            yield from self._noted(batch)

    def texts(self) -> Iterator[Utf8]:
        return (batch.texts for batch in self.text_batches())

    def _noted(self, batch: Batch) -> Iterator[Batch]:
        go_on()
        self.read += batch.total
        self._damage = batch.damage or self._damage
        self._pending = list(batch.rejected)
        yield batch
        self._rejected.write(sorted(self._pending, key=lambda rejected: rejected.row))

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        """Rejects documents of the current batch as well."""
        self._pending += rows

    @property
    def rejected(self) -> int:
        """Rejected rows so far, without the current batch."""
        return self._rejected.rows

    def result(
        self,
        *,
        kept: int,
        files: Sequence[FileRecord] = (),
        scratch: Sequence[FileRecord] = (),
        facts: dict[str, Any] | None = None,
    ) -> ItemResult:
        """The item's result, once the block has ended. Documents that are neither kept nor rejected count as sampled
        out."""
        rejected = self._rejected
        return ItemResult(
            name=self.item.name,
            number=self.item.number,
            read=self.read,
            kept=kept,
            sampled_out=self.read - kept - rejected.rows,
            rejected=dict(sorted(rejected.counts.items())),
            damage=self._damage,
            files=[*files, *rejected.records(self.out)],
            scratch=list(scratch),
            facts=facts or {},
        )
