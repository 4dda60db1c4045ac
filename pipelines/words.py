"""Trains a tokenizer on the words of a whole corpus, after two passes that count them.

The first pass turns the documents of each item into a small file of counts, partitioned by the words' hash, and a few
sampled texts. The second pass sums the counts of all items, part by part. Beam moves neither texts nor words, and
summing needs memory for a 64th of the distinct words. All files are in `.progress` and are deleted at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.home import Home, Place, writing
from corpora.manifest import PROGRESS, MadeFrom, record
from corpora.parted import Part, parts
from corpora.stores import temporary
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
        with writing(texts) as written:
            written.path.write_bytes(msgspec.msgpack.encode(sample.texts))
        return reader.result(
            kept=sample.seen,
            scratch=[file.record(reader.out), written.record(of=reader.out)],
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

        out = Home.of(self.out)
        counts = [out.at(name) for name in out.entries(SCRATCH) if name.endswith(".parquet")]
        if len(counts) != self.items:
            raise TamizError(
                f"{out.at(SCRATCH)} has counts of {len(counts)} items instead of {self.items}: every worker must "
                "have access to that folder"
            )
        written = write_sums(_sum_path(out, part), (sum_part(counts, number) for number in part.hashed))
        return ItemResult(name=part.name, number=part.number, scratch=[written.record(of=out)])


def _draw(texts: Iterator[str], seed: int) -> Sample:
    return draw(texts, seed=seed, most=CHECKED_DOCUMENTS, most_bytes=CHECKED_BYTES)


def _counts_path(out: Home, name: str) -> str:
    return out.at(f"{SCRATCH}/{name}.parquet")


def _texts_path(out: Home, name: str) -> str:
    return out.at(f"{SCRATCH}/{name}.texts")


def _sum_path(out: Home, part: Part) -> str:
    return out.at(f"{SUMS}/{part.name}.parquet")


def train_on_corpus(
    items: list[WorkItem],
    out: Place,
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
        home = Home.of(out)
        corpus = _corpus(counted, home, settings)
        with home.filled() as folder, kept_in(home) as kept:
            facts = train_on_words(corpus, folder, settings, kept=kept, phase=phase)
            return Finish([record(folder, folder / name) for name in facts["files"]], facts)

    return run_stage(out, made_from, passes, runner, rebuild=rebuild, progress=progress, finish=finish)


@contextlib.contextmanager
def kept_in(home: Home) -> Iterator[Path]:
    """Where SentencePiece's model is kept for a run that is interrupted later: of a store, only in this run."""
    if home.is_local:
        yield home.folder / PROGRESS
        return
    with temporary.local_folder() as folder:
        yield folder


def _counted_from(made_from: MadeFrom, settings: TokenizerSettings) -> MadeFrom:
    """What determines the counts: after a failed attempt, they serve another vocabulary size as well."""
    plain = {"keep_spaces": settings.keeps_spaces, "seed": settings.seed}
    return MadeFrom(stage="words", algorithm=made_from.algorithm, settings=plain, inputs=made_from.inputs)


def _corpus(results: list[ItemResult], out: Home, settings: TokenizerSettings) -> Corpus:
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


def _texts(results: list[ItemResult], out: Home) -> Iterator[str]:
    for result in results:
        yield from msgspec.msgpack.decode(out.read_bytes(f"{SCRATCH}/{result.name}.texts"), type=list[str])
