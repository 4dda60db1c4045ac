"""The texts of many files as one stream, for the stages that need no pipeline: language model and tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.manifest import FileRecord, record
from corpora.randomness import uniform


class Texts:
    """Calling it yields every text, once, in input order.

    On the way it counts rows, keeps the rejected ones in `rejected/` below `folder` and notes damaged files.
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
        self.accounts: list[dict[str, Any]] = []
        self.damaged: list[dict[str, Any]] = []
        self.records: list[FileRecord] = []
        self._folder = folder
        self._progress = progress

    def __call__(self) -> Iterator[str]:
        total, done = sum(max(i.end - i.start, 1) for i in self.items), 0
        for item in self.items:
            yield from self._texts(item)
            done += max(item.end - item.start, 1)
            if self._progress:
                self._progress(done, total)

    def _texts(self, item: WorkItem) -> Iterator[str]:
        read = kept = 0
        with RejectedWriter(self._folder / "rejected" / f"{item.name}.jsonl") as rejected:
            for batch in read_batches(item):
                rejected.write(batch.rejected)
                if batch.damage:
                    self.damaged.append({"file": item.path, "damage": batch.damage})
                chosen = self._chosen(batch.texts)
                read, kept = read + batch.total, kept + len(chosen)
                yield from chosen
        sampled_out = read - kept - rejected.rows
        reasons = dict(sorted(rejected.counts.items()))
        account = {"name": item.name, "read": read, "kept": kept, "sampled_out": sampled_out, "rejected": reasons}
        self.accounts.append(account)
        if rejected.rows:
            self.records.append(record(self._folder, rejected.path, rows=rejected.rows))

    def _chosen(self, texts: list[str]) -> list[str]:
        return [t for t in texts if uniform(0, "share", t) < self.share] if self.share < 1 else texts

    def counts(self) -> dict[str, Any]:
        """read = kept + sampled out + rejected, as in every manifest."""
        rejected: Counter[str] = Counter()
        for account in self.accounts:
            rejected.update(account["rejected"])
        sums = {name: sum(a[name] for a in self.accounts) for name in ("read", "kept", "sampled_out")}
        return {**sums, "rejected": dict(sorted(rejected.items()))}
