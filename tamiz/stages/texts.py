"""The texts of many files as one stream, for stages without a pipeline (language model, tokenizer from a sample)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from corpora.documents.item import WorkItem
from corpora.home import Place
from corpora.manifest import FileRecord
from corpora.randomness import uniform
from pipelines.advice import warn_of_blank_lines
from pipelines.items import ItemReader


class Texts:
    """A function that yields every text, in input order; call it once.

    Meanwhile it counts rows, writes rejected rows to `rejected/` in `folder` and records damaged files.
    share: the share of documents to yield; the draw is keyed by their text.
    """

    def __init__(
        self,
        items: list[WorkItem],
        folder: Place,
        progress: Callable[[int, int], None] | None = None,
        share: float = 1.0,
    ) -> None:
        self.items = items
        self.share = share
        self.accounts: list[dict[str, Any]] = []
        self.damaged: list[dict[str, Any]] = []
        self.records: list[FileRecord] = []
        self.place: str | None = None
        """Where the text that was yielded last comes from."""
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
        kept = 0
        with ItemReader(self._folder, item) as reader:
            for batch in reader.batches():
                for row, text in zip(batch.rows.tolist(), batch.texts, strict=True):
                    if self.share == 1 or uniform(0, "share", text) < self.share:
                        kept += 1
                        self.place = f"{item.path}, row {row}"
                        yield text
        result = reader.result(kept=kept)
        if result.damage and all(found["file"] != item.path for found in self.damaged):
            self.damaged.append({"file": item.path, "damage": result.damage})
        counts = {"kept": kept, "sampled_out": result.sampled_out, "rejected": result.rejected}
        self.accounts.append({"name": item.name, "read": result.read, **counts})
        self.records += result.files

    def counts(self) -> dict[str, Any]:
        """The totals of all items: read = kept + sampled out + rejected, as in every manifest."""
        rejected: Counter[str] = Counter()
        for account in self.accounts:
            rejected.update(account["rejected"])
        sums = {name: sum(a[name] for a in self.accounts) for name in ("read", "kept", "sampled_out")}
        counts = {**sums, "rejected": dict(sorted(rejected.items()))}
        warn_of_blank_lines(self.items, counts)
        return counts
