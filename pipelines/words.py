"""Trains a tokenizer on the words of a whole corpus, after passes that count them.

The first pass turns the documents of each item into a small file of counts, partitioned by the words' hash, and a few
sampled texts. The second pass sums the counts of all items, part by part. If there are too many words to learn from
all, a third leaves those that may stay. Beam moves neither texts nor words, and summing needs memory for a 64th of
the distinct words. All files are in `.progress` and are deleted at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.home import Home, Place
from corpora.manifest import PROGRESS, MadeFrom, record
from corpora.parted import Part, parts
from corpora.stores import temporary
from pipelines.items import ItemReader
from pipelines.merging import Left, merge_passes
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Later, Outcome, Pass, run_stage
from tokenizer_train.sample import Sample, draw
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import CHECKED_BYTES, CHECKED_DOCUMENTS, Corpus, train_on_words

if TYPE_CHECKING:
    from corpora.words.files import CountsFile
    from corpora.words.selection import PartTotals, Selected
    from corpora.words.table import WordTable

SPILL_BYTES = 64 << 20  # of distinct words; an item with more writes them in several steps
SCRATCH = f"{PROGRESS}/words"
SUMS = f"{PROGRESS}/sums"
STAYING = f"{PROGRESS}/staying"
TEXTS, TOTALS = "texts", "word-totals"  # in `.progress`


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
            counts = _counts_path(reader.out, item.name)
            with CountsFile(counts) as file:
                sample = _draw(_counted(reader, table, file), self.seed)
        left = Left(self.out, TEXTS).write(item.number, msgspec.msgpack.encode(sample.texts))
        return reader.result(
            kept=sample.seen,
            scratch=[file.record(reader.out), left],
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
    seed: int
    compose: bool

    def __call__(self, part: Part) -> ItemResult:
        from corpora.words.files import sum_part, write_sums
        from corpora.words.selection import PartTotals

        out = Home.of(self.out)
        counts = [out.at(name) for name in out.entries(SCRATCH) if name.endswith(".parquet")]
        if len(counts) != self.items:
            raise TamizError(
                f"{out.at(SCRATCH)} has counts of {len(counts)} items instead of {self.items}: every worker must "
                "have access to that folder"
            )
        totals = PartTotals(self.seed, self.compose)
        summed = (sum_part(counts, number) for number in part.hashed)
        written = write_sums(_sum_path(out, part), map(totals.included, summed))
        left = Left(self.out, TOTALS).write_merged(part, totals.to_bytes())
        return ItemResult(name=part.name, number=part.number, scratch=[written.record(of=out), left])


@dataclass(frozen=True)
class StayWork:
    """Of one part of the sums, leaves the words that a selection may keep: those that stay up to the least unit."""

    out: str
    fingerprint: str
    seed: int
    least: float

    def __call__(self, part: Part) -> ItemResult:
        from corpora.words.files import read_sums, write_sums
        from corpora.words.selection import staying

        out = Home.of(self.out)
        words = (staying(words, self.seed, self.least) for words in read_sums(_sum_path(out, part)))
        written = write_sums(_staying_path(out, part), words)
        return ItemResult(name=part.name, number=part.number, scratch=[written.record(of=out)])


def _draw(texts: Iterator[str], seed: int) -> Sample:
    return draw(texts, seed=seed, most=CHECKED_DOCUMENTS, most_bytes=CHECKED_BYTES)


def _merge_texts(seed: int, contents: Iterable[bytes]) -> bytes:
    texts = (text for content in contents for text in msgspec.msgpack.decode(content, type=list[str]))
    return msgspec.msgpack.encode(_draw(texts, seed).texts)


def _counts_path(out: Home, name: str) -> str:
    return out.at(f"{SCRATCH}/{name}.parquet")


def _sum_path(out: Home, part: Part) -> str:
    return out.at(f"{SUMS}/{part.name}.parquet")


def _staying_path(out: Home, part: Part) -> str:
    return out.at(f"{STAYING}/{part.name}.parquet")


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
    sums = SumWork(str(out), fingerprint, len(items), settings.seed, settings.selection()["compose"])
    words = _Words(Home.of(out), settings, len(items))
    texts = merge_passes(Left(str(out), TEXTS), fingerprint, len(items), partial(_merge_texts, settings.seed))
    stay = Later(lambda _: StayWork(str(out), f"{fingerprint}-{words.least}", settings.seed, words.least))
    passes = [Pass(count, items), *texts, Pass(sums, parts(len(items))), Pass(stay, words.units_to_select)]

    def finish(counted: list[ItemResult], *_: list[ItemResult]) -> Finish:
        phase("selecting words")
        home = Home.of(out)
        with home.filled() as folder, kept_in(home) as kept:
            facts = train_on_words(words.corpus(counted), folder, settings, kept=kept, phase=phase)
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


@dataclass(frozen=True)
class _Words:
    """What the passes left. The driver reads at most a few times as many words as the tokenizer learns from."""

    out: Home
    settings: TokenizerSettings
    items: int

    @cached_property
    def totals(self) -> PartTotals:
        """Of all words."""
        from corpora.words.selection import PartTotals

        chosen = self.settings.selection()
        total = PartTotals(chosen["seed"], chosen["compose"])
        for content in Left(str(self.out), TOTALS).of_parts(self.items):
            total.add_totals(content)
        return total

    @cached_property
    def least(self) -> float:
        from corpora.words.selection import least_unit

        chosen, totals = self.settings.selection(), self.totals
        bounds = {name: chosen[name] for name in ("most", "most_occurrences")}
        return least_unit(totals.largest_units, totals.occurrences, **bounds)

    def units_to_select(self, _: list[Sequence[ItemResult]]) -> list[Part]:
        """None, if there are few words."""
        return parts(self.items) if self._many else []

    @property
    def _many(self) -> bool:
        return self.totals.distinct > 2 * self.settings.words

    def corpus(self, counted: list[ItemResult]) -> Corpus:
        return Corpus(
            selected=self._selected(),
            texts=msgspec.msgpack.decode(
                _merge_texts(self.settings.seed, Left(str(self.out), TEXTS).all(self.items)), type=list[str]
            ),
            documents=sum(r.kept for r in counted),
            bytes=sum(r.facts["bytes"] for r in counted),
            words_cut=sum(r.facts["cut"] for r in counted),
        )

    def _selected(self) -> Selected:
        from corpora.words.files import read_sums
        from corpora.words.selection import Selection

        chosen, totals = self.settings.selection(), self.totals
        selection = Selection(chosen["most"], chosen["most_occurrences"], chosen["seed"])
        for part in parts(self.items):
            path = _staying_path if self._many else _sum_path
            for words in read_sums(path(self.out, part)):
                selection.add(words)
        return selection.result(totals.distinct, totals.occurrences, totals.characters)
