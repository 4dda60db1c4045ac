"""Annotate: documents -> an annotator's columns, one small file per work item, aligned row by row. No text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from corpora import files
from corpora.annotations.annotator import FACTS, REASON, Annotate, Annotator
from corpora.annotations.columns import AnnotationColumns, arrow_schema
from corpora.annotations.joining import FACT, SETTING
from corpora.documents.batches import FIRST_BYTES, RejectedRow, TextBatch
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch
from corpora.errors import BadArgument, TamizError
from corpora.home import Place, local
from corpora.loaded import Loaded, check_content
from corpora.manifest import MadeFrom
from corpora.texts import Utf8
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import MEBIBYTE, RunnerSettings
from pipelines.stage import Finish, Outcome, Pass, run_stage

ITEM_BYTES = 64 * MEBIBYTE  # as in `tamiz score`: folders can only be joined if they were split into the same items

_loaded: Loaded[Annotate] = Loaded(size=2)


@dataclass(frozen=True)
class AnnotateWork:
    """Annotates one work item: writes <out>/<name>.parquet and, if rows were rejected, rejected/<name>.jsonl.

    Creating it records the sha256 of the annotator's files; a worker whose files differ raises an error.
    """

    out: str
    fingerprint: str
    annotator: Annotator
    sha256: tuple[tuple[str, str], ...] = ()
    """Settings field -> sha256 of the file that it names; filled in on creation."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "annotator", self.annotator.pinned())
        object.__setattr__(self, "sha256", file_contents(self.annotator))

    def load(self) -> Annotate:
        """The annotator's function, once per process. Raises TamizError if a file's content differs."""
        key = (type(self.annotator), msgspec.json.encode(self.annotator), self.sha256)
        return _loaded.get(key, self._load)

    def _load(self) -> Annotate:
        for (name, found), (_, expected) in zip(file_contents(self.annotator), self.sha256, strict=True):
            check_content(self.annotator.files[name], found, expected)
        return self.annotator.load()

    def __call__(self, item: WorkItem) -> ItemResult:
        annotate, annotator = self.load(), self.annotator
        columns = AnnotationColumns(annotator.schema)
        facts: dict[str, Counter[str]] = {}
        with ItemReader(self.out, item, annotator.columns) as reader:
            for batch in reader.text_batches() if annotator.takes_texts else reader.batches():
                try:
                    found = dict(annotate(batch, item))
                    for fact, numbers in found.pop(FACTS, {}).items():
                        facts.setdefault(fact, Counter()).update(numbers)
                    reader.reject(_add(columns, batch, found, item))
                except ValueError as error:
                    raise TamizError(f"the annotator {annotator.name} failed on {item.path}: {error}") from error
        written = columns.write(reader.out.at(f"{item.name}.parquet"))
        counted = {fact: columns.counts(column) for fact, column in annotator.counted.items()}
        record = msgspec.structs.replace(written, path=f"{item.name}.parquet")
        return reader.result(kept=(record.rows or 0) - reader.rejected, files=[record], facts={**counted, **facts})


def file_contents(annotator: Annotator) -> tuple[tuple[str, str], ...]:
    """Settings field -> sha256 of its file. Raises BadArgument if a file is missing."""
    for name, path in annotator.files.items():
        if not _local(name, path).is_file():
            raise BadArgument(f"{name} is {path}: no such file")
    return tuple((name, files.sha256(_local(name, path))) for name, path in sorted(annotator.files.items()))


def _local(name: str, path: str) -> Path:
    """An annotator's file, fetched from an address into this machine's cache."""
    try:
        return local(path)
    except FileNotFoundError as error:
        raise BadArgument(f"{name} is {path}: no such file") from error


def _add(
    columns: AnnotationColumns, batch: DocumentBatch | TextBatch, found: Mapping[str, Any], item: WorkItem
) -> list[RejectedRow]:
    """Adds a batch's rows; returns the documents that the annotator rejected. Raises ValueError."""
    given = {name: values for name, values in found.items() if name != REASON}
    reasons = found.get(REASON)
    rejected: list[RejectedRow] = []
    null = None
    if reasons is not None:
        null = np.array([reason is not None for reason in reasons], np.bool_)
        if len(null) != len(batch.texts):
            raise ValueError(f"{REASON} has {len(null)} values for {len(batch.texts)} documents")
        rejected = [_rejected(batch, n, reasons[n], item) for n in np.flatnonzero(null).tolist()]
    columns.add(batch.rows, given, null)
    columns.add_null([r.row for r in batch.rejected])
    return rejected


def _rejected(batch: DocumentBatch | TextBatch, place: int, reason: str, item: WorkItem) -> RejectedRow:
    texts = batch.texts
    start = texts.bytes_of(place) if isinstance(texts, Utf8) else texts[place][:FIRST_BYTES].encode()
    return RejectedRow(item.path, int(batch.rows[place]), reason, start[:FIRST_BYTES])


def annotate(
    patterns: list[str],
    annotator: Annotator,
    out: Place,
    runner: RunnerSettings,
    *,
    item_bytes: int = ITEM_BYTES,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Annotates every document that the patterns name. The manifest's stage is the annotator's name.

    Raises BadArgument for a pattern that matches no files or settings that the annotator rejects, StaleOutput if the
    folder was made from something else.
    """
    arrow_schema(annotator.schema)
    items = work_items(patterns, item_bytes)
    annotator.check(items)
    contents = {f"{name}_sha256": sha256 for name, sha256 in file_contents(annotator)}
    made_from = MadeFrom(
        stage=annotator.name,
        algorithm=annotator.algorithm,
        settings={**annotator.identity(items), **contents, SETTING: item_bytes},
        inputs=input_identities(items, out),
    )
    facts = {FACT: dict(annotator.schema)}
    return run_annotator(items, annotator, out, made_from, runner, facts=facts, rebuild=rebuild, progress=progress)


def run_annotator(
    items: list[WorkItem],
    annotator: Annotator,
    out: Place,
    made_from: MadeFrom,
    runner: RunnerSettings,
    *,
    facts: Mapping[str, Any],
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Makes sure that `out` holds the annotations. Problems with the annotator's files are raised before any work."""
    work = AnnotateWork(str(out), made_from.fingerprint(), annotator)
    work.load()

    def finish(results: list[ItemResult]) -> Finish:
        return Finish(facts={**facts, **_summed(results)})

    return run_stage(out, made_from, [Pass(work, items)], runner, rebuild=rebuild, progress=progress, finish=finish)


def _summed(results: Sequence[ItemResult]) -> dict[str, dict[str, int]]:
    """The facts of all items, if they have any value: rows by value for each counted column, and the annotator's."""
    sums: dict[str, Counter[str]] = {}
    for result in results:
        for fact, numbers in result.facts.items():
            sums.setdefault(fact, Counter()).update(numbers)
    return {fact: dict(sorted(total.items())) for fact, total in sums.items() if total}
