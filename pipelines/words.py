"""A tokenizer from the words of a whole corpus: documents -> counts of words, item by item -> their sum -> training.

No text and no word crosses a stage: each item leaves a small file of counts, parted by the words' hash, and the sum
goes part by part. The counts are dropped when the folder is finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corpora import files
from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.manifest import PROGRESS, MadeFrom, record
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Outcome, run_stage
from tokenizer_train.sample import Sample, draw
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import CHECKED_BYTES, CHECKED_DOCUMENTS, Corpus, train_on_words

if TYPE_CHECKING:
    from corpora.words.files import CountsFile
    from corpora.words.table import WordTable

SPILL_BYTES = 64 << 20  # of distinct words; an item with more writes them in several goes
SCRATCH = f"{PROGRESS}/words"


@dataclass(frozen=True)
class CountWork:
    """Counts the words of one work item, and draws some documents. keep_spaces: see WordTable."""

    out: str
    fingerprint: str
    keep_spaces: bool
    seed: int

    def __call__(self, item: WorkItem) -> ItemResult:
        from corpora.words.files import CountsFile
        from corpora.words.table import WordTable

        out, counting = Path(self.out), _Counting(WordTable(self.keep_spaces))
        counts, texts = _counts_path(out, item.name), _texts_path(out, item.name)
        with RejectedWriter(out / "rejected" / f"{item.name}.jsonl") as rejected, CountsFile(counts) as file:
            sample = _draw(counting.texts(item, rejected, file), self.seed)
        files.write_bytes(texts, msgspec.msgpack.encode(sample.texts))
        return ItemResult(
            name=item.name,
            number=item.number,
            read=counting.read,
            kept=sample.seen,
            rejected=dict(sorted(rejected.counts.items())),
            damage=counting.damage,
            files=[record(out, rejected.path, rows=rejected.rows)] if rejected.rows else [],
            scratch=[record(out, counts), record(out, texts)],
            facts={"bytes": sample.seen_bytes, "cut": counting.table.words_cut},
        )


class CountWords(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes counts of words below the folder's `.progress`."""

    def __init__(self, work: CountWork) -> None:
        super().__init__(work)


class _Counting:
    """Texts of an item, counted as they pass; its rejected rows put aside."""

    def __init__(self, table: WordTable) -> None:
        self.read = 0
        self.damage: str | None = None
        self.table = table

    def texts(self, item: WorkItem, rejected: RejectedWriter, file: CountsFile) -> Iterator[str]:
        for batch in read_batches(item):
            self.read += batch.total
            self.damage = batch.damage or self.damage
            rejected.write(batch.rejected)
            self.table.count(batch.texts)
            if self.table.nbytes > SPILL_BYTES:
                file.write(self.table)
                self.table.clear()
            yield from batch.texts
        file.write(self.table)


def _draw(texts: Iterator[str], seed: int) -> Sample:
    return draw(texts, seed=seed, most=CHECKED_DOCUMENTS, most_bytes=CHECKED_BYTES)


def _counts_path(out: Path, name: str) -> Path:
    return out / SCRATCH / f"{name}.parquet"


def _texts_path(out: Path, name: str) -> Path:
    return out / SCRATCH / f"{name}.texts"


def train_on_corpus(
    items: list[WorkItem],
    out: Path,
    made_from: MadeFrom,
    settings: TokenizerSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Brings `out` to hold the tokenizer that the words of all documents give.

    Raises TamizError where they can't carry the vocabulary; the counts stay for the next try.
    """
    work = CountWork(str(out), made_from.fingerprint(), settings.keeps_spaces, settings.seed)

    def finish(results: list[ItemResult]) -> Finish:
        facts = train_on_words(_corpus(results, out, settings), out, settings)
        return Finish([record(out, out / name) for name in facts["files"]], facts)

    return run_stage(
        out,
        made_from,
        work,
        lambda: CountWords(work),
        items,
        runner,
        rebuild=rebuild,
        progress=progress,
        finish=finish,
    )


def _corpus(results: list[ItemResult], out: Path, settings: TokenizerSettings) -> Corpus:
    from corpora.words.files import summed
    from corpora.words.selection import select

    parts = summed([_counts_path(out, r.name) for r in results])
    return Corpus(
        selected=select(parts, **settings.selection()),
        texts=_draw(_texts(results, out), settings.seed).texts,
        documents=sum(r.kept for r in results),
        bytes=sum(r.facts["bytes"] for r in results),
        words_cut=sum(r.facts["cut"] for r in results),
    )


def _texts(results: list[ItemResult], out: Path) -> Iterator[str]:
    for result in results:
        yield from msgspec.msgpack.decode(_texts_path(out, result.name).read_bytes(), type=list[str])
