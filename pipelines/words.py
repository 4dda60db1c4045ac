"""Trains a tokenizer on the words of a whole corpus, after two passes that count them.

The first pass turns the documents of each item into a small file of counts, partitioned by the words' hash, and a few
sampled texts. The second pass sums the counts of all items, part by part. Beam moves neither texts nor words, and
summing needs memory for a 64th of the distinct words. All files are in `.progress` and are deleted at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corpora import files
from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.manifest import PROGRESS, MadeFrom, record
from corpora.parted import Part, parts
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Outcome, Pass, run_stage
from tokenizer_train.sample import Sample, draw
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import CHECKED_BYTES, CHECKED_DOCUMENTS, Corpus, train_on_words

if TYPE_CHECKING:
    from corpora.words.files import CountsFile
    from corpora.words.table import WordTable

SPILL_BYTES = 64 << 20  # of distinct words; an item with more writes them in several steps
SCRATCH = f"{PROGRESS}/words"
SUMS = f"{PROGRESS}/sums"


@dataclass(frozen=True)
class CountWork:
    """Counts the words of one work item, and samples some documents. keep_spaces: see WordTable."""

    out: str
    fingerprint: str
    keep_spaces: bool
    seed: int

    def __call__(self, item: WorkItem) -> ItemResult:
        from corpora.words.files import CountsFile
        from corpora.words.table import WordTable

        table = WordTable(self.keep_spaces)
        with ItemReader(self.out, item) as reader:
            counts, texts = _counts_path(reader.out, item.name), _texts_path(reader.out, item.name)
            with CountsFile(counts) as file:
                sample = _draw(_counted(reader, table, file), self.seed)
        files.write_bytes(texts, msgspec.msgpack.encode(sample.texts))
        return reader.result(
            kept=sample.seen,
            scratch=[record(reader.out, counts), record(reader.out, texts)],
            facts={"bytes": sample.seen_bytes, "cut": table.words_cut},
        )


def _counted(reader: ItemReader, table: WordTable, file: CountsFile) -> Iterator[str]:
    """Yields the item's texts and counts their words."""
    for batch in reader.batches():
        table.count(batch.texts)
        if table.nbytes > SPILL_BYTES:
            file.write(table)
            table.clear()
        yield from batch.texts
    file.write(table)


@dataclass(frozen=True)
class SumWork:
    """Sums one part of the counts that `CountWork` wrote for `items` items. Memory: a 64th of the distinct words."""

    out: str
    fingerprint: str
    items: int

    def __call__(self, part: Part) -> ItemResult:
        from corpora.words.files import sum_part, write_sums

        out = Path(self.out)
        counts = sorted((out / SCRATCH).glob("*.parquet"))
        if len(counts) != self.items:
            raise TamizError(
                f"{out / SCRATCH} has counts of {len(counts)} items instead of {self.items}: every worker must have "
                "access to that folder"
            )
        path = _sum_path(out, part)
        write_sums(path, (sum_part(counts, number) for number in part.hashed))
        return ItemResult(name=part.name, number=part.number, scratch=[record(out, path)])


def _draw(texts: Iterator[str], seed: int) -> Sample:
    return draw(texts, seed=seed, most=CHECKED_DOCUMENTS, most_bytes=CHECKED_BYTES)


def _counts_path(out: Path, name: str) -> Path:
    return out / SCRATCH / f"{name}.parquet"


def _texts_path(out: Path, name: str) -> Path:
    return out / SCRATCH / f"{name}.texts"


def _sum_path(out: Path, part: Part) -> Path:
    return out / SUMS / f"{part.name}.parquet"


def train_on_corpus(
    items: list[WorkItem],
    out: Path,
    made_from: MadeFrom,
    settings: TokenizerSettings,
    runner: RunnerSettings,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Makes sure that `out` holds the tokenizer trained on the words of all documents.

    phase: called with the name of each phase whose progress isn't known. Raises TamizError if there are too few words
    for the vocabulary; the counts are kept for the next attempt.
    """
    fingerprint = _counted_from(made_from, settings).fingerprint()
    count = CountWork(str(out), fingerprint, settings.keeps_spaces, settings.seed)
    passes = [Pass(count, items), Pass(SumWork(str(out), fingerprint, len(items)), parts(len(items)))]

    def finish(counted: list[ItemResult], _: list[ItemResult]) -> Finish:
        phase("selecting words")
        corpus = _corpus(counted, out, settings)
        facts = train_on_words(corpus, out, settings, kept=out / PROGRESS, phase=phase)
        return Finish([record(out, out / name) for name in facts["files"]], facts)

    return run_stage(out, made_from, passes, runner, rebuild=rebuild, progress=progress, finish=finish)


def _counted_from(made_from: MadeFrom, settings: TokenizerSettings) -> MadeFrom:
    """What determines the counts: after a failed attempt, they serve another vocabulary size as well."""
    plain = {"keep_spaces": settings.keeps_spaces, "seed": settings.seed}
    return MadeFrom(stage="words", algorithm=made_from.algorithm, settings=plain, inputs=made_from.inputs)


def _corpus(results: list[ItemResult], out: Path, settings: TokenizerSettings) -> Corpus:
    from corpora.words.files import read_sums
    from corpora.words.selection import select

    sums = chain.from_iterable(read_sums(_sum_path(out, part)) for part in parts(len(results)))
    return Corpus(
        selected=select(sums, **settings.selection()),
        texts=_draw(_texts(results, out), settings.seed).texts,
        documents=sum(r.kept for r in results),
        bytes=sum(r.facts["bytes"] for r in results),
        words_cut=sum(r.facts["cut"] for r in results),
    )


def _texts(results: list[ItemResult], out: Path) -> Iterator[str]:
    for result in results:
        yield from msgspec.msgpack.decode(_texts_path(out, result.name).read_bytes(), type=list[str])
