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
from corpora.randomness import uniform


class Texts:
    """Calling it yields every text, in input order; it can be called again.

    The first full pass counts rows, keeps the rejected ones in `rejected/` below `folder` and notes damaged files.
    share: of the documents, drawn by their text.
    """

    def __init__(
        self,
        items: list[WorkItem],
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
        share: float = 1.0,
    ) -> None:
        self.items = items
        self.share = share
        self.read = self.kept = self.sampled_out = 0
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
            yield from self._first(item) if counting else self._again(item)
            done += max(item.end - item.start, 1)
            if self._progress and counting:
                self._progress(done, total)

    def _first(self, item: WorkItem) -> Iterator[str]:
        with RejectedWriter(self._folder / "rejected" / f"{item.name}.jsonl") as rejected:
            for batch in read_batches(item):
                rejected.write(batch.rejected)
                self.read += len(batch.texts) + len(batch.rejected)
                if batch.damage:
                    self.damaged.append({"file": item.path, "damage": batch.damage})
                chosen = self._chosen(batch.texts)
                self.kept += len(chosen)
                self.sampled_out += len(batch.texts) - len(chosen)
                yield from chosen
        self.rejected.update(rejected.counts)
        if rejected.rows:
            self.records.append(record(self._folder, rejected.path, rows=rejected.rows))

    def _again(self, item: WorkItem) -> Iterator[str]:
        for batch in read_batches(item):
            yield from self._chosen(batch.texts)

    def _chosen(self, texts: list[str]) -> list[str]:
        return [t for t in texts if uniform(0, "share", t) < self.share] if self.share < 1 else texts

    def counts(self) -> dict[str, Any]:
        """read = kept + sampled out + rejected, as in every manifest."""
        return {
            "read": self.read,
            "kept": self.kept,
            "sampled_out": self.sampled_out,
            "rejected": dict(sorted(self.rejected.items())),
        }
