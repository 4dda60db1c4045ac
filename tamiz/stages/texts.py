"""The texts of many files as one stream, for the stages that need no pipeline: language model and tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from corpora.documents.items import WorkItem
from corpora.documents.reading import read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.manifest import FileRecord, record


class Texts:
    """Calling it yields every text, in input order; it can be called again.

    The first full pass counts rows, keeps the rejected ones in `rejected/` below `folder` and notes damaged files.
    """

    def __init__(
        self, items: list[WorkItem], folder: Path, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.items = items
        self.read = self.kept = 0
        self.rejected: Counter[str] = Counter()
        self.damaged: list[dict[str, Any]] = []
        self.records: list[FileRecord] = []
        self._folder = folder
        self._progress = progress
        self._counted = False

    def __call__(self) -> Iterator[str]:
        counting, self._counted = not self._counted, True
        total, done = sum(max(i.end - i.start, 1) for i in self.items), 0
        for item in self.items:
            yield from self._first(item) if counting else _texts(item)
            done += max(item.end - item.start, 1)
            if self._progress and counting:
                self._progress(done, total)

    def _first(self, item: WorkItem) -> Iterator[str]:
        with RejectedWriter(self._folder / "rejected" / f"{item.name}.jsonl") as rejected:
            for batch in read_batches(item):
                rejected.write(batch.rejected)
                self.read += len(batch.texts) + len(batch.rejected)
                self.kept += len(batch.texts)
                if batch.damage:
                    self.damaged.append({"file": item.path, "damage": batch.damage})
                yield from batch.texts
        self.rejected.update(rejected.counts)
        if rejected.rows:
            self.records.append(record(self._folder, rejected.path, rows=rejected.rows))

    def counts(self) -> dict[str, Any]:
        """read = kept + rejected, as in every manifest."""
        return {
            "read": self.read,
            "kept": self.kept,
            "sampled_out": 0,
            "rejected": dict(sorted(self.rejected.items())),
        }


def _texts(item: WorkItem) -> Iterator[str]:
    for batch in read_batches(item):
        yield from batch.texts
