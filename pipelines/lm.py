"""Sentences: documents -> ids of their words or pieces, two files per item, of which a language model is estimated.

A tokenizer that is to be trained needs a look at all documents first: that pass leaves the lines that it may learn
from. What the items leave is enough to go on after a kill at any point: the estimation alone starts anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora import files, manifest
from corpora.documents.item import WorkItem
from corpora.documents.reading import read_batches
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.home import Home, local
from corpora.loaded import Loaded, check_content
from corpora.manifest import PROGRESS, REJECTED, FileRecord, InputIdentity, MadeFrom, Manifest
from corpora.perplexity.estimation.item_ids import LinePieces, Numbers, PartFiles, PartWriter, RawWords
from corpora.perplexity.line_sample import LineSample, used_lines
from corpora.perplexity.lm_tokenizer import share_of, train_on_lines
from corpora.perplexity.pieces import load_tokenizer
from corpora.perplexity.reserved_words import ReservedWords
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.small_text import NO_SENTENCE
from corpora.randomness import uniform
from corpora.stopping import go_on
from corpora.text.normalise import normalise
from corpora.texts import Utf8, utf8
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Later, Pass, run_stage

ALGORITHM = 1
LINES = f"{PROGRESS}/lines"
TOKENIZER = "tokenizer.model"

_tokenizers: Loaded[tuple[Any, bytes]] = Loaded(size=2)


def lines_of(text: str, mode: str) -> list[str]:
    """The normalised sentences of a text, blank ones included."""
    if mode == "ccnet":
        return [normalise(text)]
    return [normalise(line) for line in text.split("\n")]


@dataclass(frozen=True)
class LineWork:
    """A look at one work item: the lines of it that a tokenizer may learn from, and the bytes of all."""

    out: str
    fingerprint: str
    mode: str
    share: float

    def __call__(self, item: WorkItem) -> ItemResult:
        sample = LineSample()
        for batch in read_batches(item):
            go_on()
            for text in batch.texts:
                if _is_chosen(text, self.share):
                    sample.add(lines_of(text, self.mode))
        written = sample.write(Home.of(self.out).at(_lines_name(item.number))).record(of=self.out)
        return ItemResult(name=item.name, number=item.number, scratch=[written], facts={"bytes": sample.bytes})


@dataclass(frozen=True)
class SentenceWork:
    """Numbers the sentences of one work item. tokenizer: the file of the one that makes pieces; None for raw words.

    share: of the documents to use; the draw is keyed by their text. skip: leave out the words that models reserve.
    """

    out: str
    fingerprint: str
    mode: str
    share: float
    skip: bool = False
    tokenizer: str | None = None
    sha256: str | None = None
    """Of the tokenizer. A worker that finds another one raises an error."""

    def __call__(self, item: WorkItem) -> ItemResult:
        with ItemReader(self.out, item) as reader:
            last = _Last()
            texts = _ItemTexts(reader, self.share, ReservedWords(skip=self.skip, where=lambda: last.place), last)
            with PartWriter(part_files(reader.out, item.number), self._numbers()) as writer:
                for batch in texts.raw() if self.tokenizer is None else texts.flat():
                    writer.add(batch)
        return reader.result(
            kept=texts.kept,
            files=writer.records,
            facts={"blank": writer.blank, "skipped": texts.skipped},
        )

    def _numbers(self) -> Numbers:
        if self.tokenizer is None:
            return RawWords()
        processor, model = _tokenizers.get(self.sha256, self._load)
        return LinePieces(processor, model, by_line=self.mode == "lines")

    def _load(self) -> tuple[Any, bytes]:
        assert self.tokenizer is not None
        path = local(self.tokenizer, self.sha256)
        processor = load_tokenizer(path)
        check_content(self.tokenizer, files.sha256(path), self.sha256)
        return processor, path.read_bytes()


@dataclass
class _Last:
    """Where the text comes from that was looked at last."""

    place: str | None = None


class _ItemTexts:
    """The texts of one item that are used, counted."""

    def __init__(self, reader: ItemReader, share: float, reserved: ReservedWords, last: _Last) -> None:
        self.kept = 0
        self._reader, self._share, self._reserved, self._last = reader, share, reserved, last

    @property
    def skipped(self) -> int:
        return self._reserved.skipped

    def flat(self) -> Iterator[Utf8]:
        """The texts as they are."""
        batches = self._reader.texts() if self._share == 1 else map(utf8, self._chosen())
        for texts in batches:
            self.kept += len(texts)
            if len(texts):
                yield texts

    def raw(self) -> Iterator[Utf8]:
        """The texts without reserved words. Raises TamizError for one that isn't to be skipped."""
        for texts in self._chosen(self._reserved.checked):
            self.kept += len(texts)
            yield utf8(texts)

    def _chosen(self, each: Callable[[Iterator[str]], Iterator[str]] = iter) -> Iterator[list[str]]:
        for batch in self._reader.batches():
            yield list(each(self._placed(batch.texts, batch.rows.tolist())))

    def _placed(self, texts: Sequence[str], rows: Sequence[int]) -> Iterator[str]:
        for text, row in zip(texts, rows, strict=True):
            if _is_chosen(text, self._share):
                self._last.place = f"{self._reader.item.path}, row {row}"
                yield text


def _is_chosen(text: str, share: float) -> bool:
    return share == 1 or uniform(0, "share", text) < share


def part_files(folder: Home, number: int) -> PartFiles:
    return PartFiles(folder, f"ids/part-{number:05d}.ids", f"ids/part-{number:05d}.words")


def _lines_name(number: int) -> str:
    return f"{LINES}/part-{number:05d}.parquet"


@dataclass(frozen=True)
class Sentences:
    """What a language model is estimated of. tokenizer: its file; None for raw words."""

    folder: Home
    manifest: Manifest
    parts: list[PartFiles]
    tokenizer: bytes | None

    def copy_rejected(self, folder: Path) -> None:
        """Copies the rejected rows to `folder`/rejected: these files stay, for a run that is killed later."""
        for found in self.rejected:
            with (
                files.atomic_path(folder / found.path) as temporary,
                self.folder.open(found.path) as rows,
                temporary.open("wb") as copy,
            ):
                shutil.copyfileobj(rows, copy)

    @property
    def rejected(self) -> list[FileRecord]:
        return [found for found in self.manifest.files if found.path.startswith(f"{REJECTED}/")]


def number_sentences(
    items: list[WorkItem],
    folder: Home,
    inputs: list[InputIdentity],
    settings: LmSettings,
    share: float,
    runner: RunnerSettings,
    *,
    kept: Path | None = None,
    progress: Progress | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Sentences:
    """Makes sure that `folder` holds the sentences of all documents; another text's are removed.

    kept: a folder for what SentencePiece trained. phase: called with the name of a step of unknown length. Raises
    BadArgument for texts without a sentence or too small for the vocabulary, TamizError for reserved words.
    """
    made_from = _made_from(settings, share, inputs)
    _clear_others(folder, made_from)
    numbering = _Numbering(folder, made_from.fingerprint(), settings, share, len(items), kept, phase)
    done = run_stage(folder, made_from, numbering.passes(items), runner, progress=progress, finish=numbering.finish)
    parts = [part_files(folder, item.number) for item in items]
    tokenizer = None if settings.words else local(settings.tokenizer or folder.at(TOKENIZER)).read_bytes()
    return Sentences(folder, done.manifest, parts, tokenizer)


def _made_from(settings: LmSettings, share: float, inputs: list[InputIdentity]) -> MadeFrom:
    """What determines the ids: after a killed attempt, they serve another order and other thresholds as well."""
    plain: dict[str, Any] = {"words": settings.words, "mode": settings.mode, "skip_symbols": settings.skip_symbols}
    tokenizer = settings.vocabulary_size if settings.tokenizer is None else files.sha256(settings.tokenizer)
    plain = {**plain, "share": share, "tokenizer": tokenizer}
    return MadeFrom(stage="sentences", algorithm=ALGORITHM, settings=plain, inputs=inputs)


def _clear_others(folder: Home, made_from: MadeFrom) -> None:
    """Removes what was made from something else, or is damaged."""
    if not folder.is_folder():
        return
    with suppress(StaleOutput, DamagedFile):
        manifest.resume(manifest.read(folder), folder, made_from)
        return
    folder.remove_all()


@dataclass(frozen=True)
class _Numbering:
    """The passes of `number_sentences`."""

    folder: Home
    fingerprint: str
    settings: LmSettings
    share: float
    items: int
    kept: Path | None
    phase: Callable[[str], None]

    def passes(self, items: list[WorkItem]) -> list[Pass]:
        settings = self.settings
        if settings.words:
            return [Pass(self._work(), items)]
        if settings.tokenizer is not None:
            load_tokenizer(local(settings.tokenizer))  # at once
            return [Pass(self._work(settings.tokenizer), items)]
        look = LineWork(str(self.folder), self.fingerprint, settings.mode, self.share)
        return [Pass(look, items, looks=True), Pass(Later(self._with_new_tokenizer), items)]

    def _work(self, tokenizer: str | None = None) -> SentenceWork:
        sha256 = None if tokenizer is None else files.sha256(local(tokenizer))
        return SentenceWork(
            out=str(self.folder),
            fingerprint=f"{self.fingerprint}-{sha256}",
            mode=self.settings.mode,
            share=self.share,
            skip=self.settings.skip_symbols,
            tokenizer=tokenizer,
            sha256=sha256,
        )

    def _with_new_tokenizer(self, results: list[Sequence[ItemResult]]) -> SentenceWork:
        size = sum(result.facts["bytes"] for result in results[0])
        if not size:
            raise BadArgument(NO_SENTENCE)
        vocabulary = self.settings.vocabulary_size
        assert vocabulary is not None
        self.phase(f"SentencePiece, {vocabulary:,} pieces")
        parts = [self.folder.at(_lines_name(number)) for number in range(self.items)]
        self.folder.write_bytes(
            TOKENIZER, train_on_lines(used_lines(parts, share_of(size)), vocabulary, kept=self.kept)
        )
        return self._work(self.folder.at(TOKENIZER))

    def finish(self, *results: list[ItemResult]) -> Finish:
        facts = {name: sum(result.facts[name] for result in results[-1]) for name in ("blank", "skipped")}
        made = [TOKENIZER] if self.settings.vocabulary_size else []
        return Finish([self._record(name) for name in made], facts)

    def _record(self, name: str) -> FileRecord:
        return FileRecord(path=name, bytes=self.folder.size(name) or 0, sha256=self.folder.sha256(name))
