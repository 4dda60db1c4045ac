"""Evaluate: runs tokenizers on documents and writes counts by language and source to eval.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from corpora.copies import local_tokenizer
from corpora.documents.groups import check_language_column, language_of_value, source_of
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch
from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.loaded import Loaded, check_content
from corpora.manifest import MadeFrom
from corpora.verify import check_intact
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings
from pipelines.smallest_draws import drawn, largest_of_smallest, smallest_draws_passes
from pipelines.stage import Finish, Later, Outcome, Pass, run_stage, settings_dict
from tokenizer_train.evaluation.candidate import Candidate, load_candidate, names_of
from tokenizer_train.evaluation.languages import language_of
from tokenizer_train.evaluation.measure import Texts, measure
from tokenizer_train.evaluation.settings import EvaluationSettings
from tokenizer_train.evaluation.summary import Key, summarise
from tokenizer_train.evaluation.tally import Tally

ALGORITHM = 1
ITEM_BYTES = 64 << 20
NAME = "eval.json"


_candidates: Loaded[tuple[Candidate, ...]] = Loaded(size=1)

Identity = tuple[str, str | None]  # sha256 of the engine, and of the tokenizer.json that it is compared with


@dataclass(frozen=True)
class EvaluateWork:
    """Counts what each tokenizer makes of one work item's documents; the counts are in the result's facts."""

    out: str
    fingerprint: str
    tokenizers: tuple[tuple[str, str], ...]
    """(name, path) of each tokenizer."""
    settings: EvaluationSettings
    below: float | None = None
    """Only documents whose draw is at most this are evaluated; None: all."""
    identities: tuple[Identity, ...] = ()
    """Identities of the tokenizers' files; filled in on creation."""

    def __post_init__(self) -> None:
        if not self.identities:
            object.__setattr__(self, "identities", tuple(_identity(c) for c in self._load_all()))

    def candidates(self) -> tuple[Candidate, ...]:
        """The tokenizers, once per process. Raises TamizError if a worker's file has different content."""
        return _candidates.get(self._key(), self._load)

    def keep(self, candidates: tuple[Candidate, ...]) -> None:
        """Gives the tokenizers, already loaded, to the workers in this process."""
        _candidates.put(self._key(), candidates)

    def _key(self) -> tuple[object, ...]:
        return self.tokenizers, self.settings.compare_auto, self.identities

    def _load(self) -> tuple[Candidate, ...]:
        found = self._load_all()
        for (_, path), candidate, expected in zip(self.tokenizers, found, self.identities, strict=True):
            for here, there in zip(_identity(candidate), expected, strict=True):
                check_content(path, here, there)
        return found

    def _load_all(self) -> tuple[Candidate, ...]:
        return _all(self.tokenizers, self.settings)

    def __call__(self, item: WorkItem) -> ItemResult:
        counting = _Counting(self, item)
        with ItemReader(self.out, item, counting.columns) as reader:
            for batch in reader.batches():
                counting.add(batch)
        tallies = [[*key, msgspec.to_builtins(t)] for key, t in sorted(counting.tallies.items())]
        return reader.result(kept=counting.kept, facts={"tallies": tallies})


class _Counting:
    """The counts of one item, batch by batch."""

    def __init__(self, work: EvaluateWork, item: WorkItem) -> None:
        self._work = work
        self._candidates = work.candidates()
        self._source = source_of(item.name)
        self._column = work.settings.language_column
        self._language = "" if self._column else language_of(item, work.settings.languages)
        self.columns = (self._column,) if self._column else ()
        self.kept = 0
        self.tallies: dict[Key, Tally] = {}

    def add(self, batch: DocumentBatch) -> None:
        chosen = [
            n for n, u in enumerate(_draws(batch, self._work)) if self._work.below is None or u <= self._work.below
        ]
        self.kept += len(chosen)
        by_language: dict[str, list[str]] = {}
        for n in chosen:
            language = (language_of_value(batch.extra[self._column][n]) or "") if self._column else self._language
            by_language.setdefault(language, []).append(batch.texts[n])
        for language, texts in by_language.items():
            self._measure(language, Texts(texts))

    def _measure(self, language: str, texts: Texts) -> None:
        for number, candidate in enumerate(self._candidates):
            key = (number, language, self._source)
            self.tallies[key] = Tally.sum([self.tallies.get(key, Tally()), measure(candidate, texts)])


def _draws(batch: DocumentBatch, work: EvaluateWork) -> Iterable[float]:
    if work.below is None:
        return [0.0] * len(batch.texts)
    return drawn(batch, work.settings.seed)


def evaluate(
    tokenizers: Sequence[str],
    patterns: Inputs,
    out: Place,
    settings: EvaluationSettings,
    runner: RunnerSettings,
    *,
    names: Sequence[str] | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Evaluates every tokenizer on the documents that the patterns name, and writes eval.json.

    names: what to call the tokenizers. None: the ends of their paths.
    Raises BadArgument for a missing tokenizer or a path that names no language, DamagedFile for a bad tokenizer.
    """
    items = work_items(patterns, ITEM_BYTES)
    if settings.language_column is not None:
        check_language_column(items, settings.language_column)
    languages = {} if settings.language_column else _languages(items, settings)
    named = tuple(zip(names_of(tokenizers, names), tokenizers, strict=True))
    for path in tokenizers:
        check_intact(path)
    candidates = _all(named, settings)
    identities = tuple(_identity(candidate) for candidate in candidates)
    identity = {
        **settings_dict(settings),
        "tokenizers": {c.name: list(found) for c, found in zip(candidates, identities, strict=True)},
        "inputs_by_language": languages,
    }
    made_from = MadeFrom(
        stage="evaluation", algorithm=ALGORITHM, settings=identity, inputs=input_identities(items, out)
    )
    work = EvaluateWork(str(out), made_from.fingerprint(), named, settings, None, identities)
    work.keep(candidates)
    finish = partial(_finish, candidates=candidates, out=out)
    passes = _passes(work, items)
    return run_stage(out, made_from, passes, runner, rebuild=rebuild, progress=progress, finish=finish)


def _passes(work: EvaluateWork, items: list[WorkItem]) -> list[Pass]:
    """If only some documents are evaluated, a look at all of them comes first."""
    number = work.settings.documents
    if number is None:
        return [Pass(work, items)]
    looking = smallest_draws_passes(work.out, work.fingerprint, number, work.settings.seed, items)
    later = Later(lambda _: replace(work, below=largest_of_smallest(work.out, number, len(items))))
    return [*looking, Pass(later, items)]


def _all(named: Sequence[tuple[str, str]], settings: EvaluationSettings) -> tuple[Candidate, ...]:
    """The tokenizers with these names and paths; those of a store are copied."""
    compare = settings.compare_auto
    return tuple(load_candidate(local_tokenizer(path), name, compare_auto=compare) for name, path in named)


def _identity(candidate: Candidate) -> Identity:
    return candidate.encoder.sha256, candidate.auto.sha256 if candidate.auto else None


def _languages(items: Sequence[WorkItem], settings: EvaluationSettings) -> dict[str, list[str]]:
    """Language -> inputs, for the fingerprint: a folder's name may decide the language but isn't in an input's name.

    Raises BadArgument for a path that names no language.
    """
    found: dict[str, set[str]] = {}
    for item in items:
        found.setdefault(language_of(item, settings.languages), set()).add(item.input_name)
    return {language: sorted(names) for language, names in sorted(found.items())}


def summed(results: Iterable[ItemResult]) -> dict[Key, Tally]:
    """The tallies of all items. Memory: one item's, and the sums."""
    total: dict[Key, Tally] = {}
    for result in results:
        for number, language, source, counts in result.facts["tallies"]:
            key = (number, language, source)
            total[key] = Tally.sum([total.get(key, Tally()), msgspec.convert(counts, Tally)])
    return total


def _finish(*found: list[ItemResult], candidates: Sequence[Candidate], out: Place) -> Finish:
    facts: dict[str, Any] = summarise(summed(found[-1]), candidates)
    with Home.of(out).writing(NAME) as file:
        file.path.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
    return Finish([file.record()], {"tokenizers": facts["tokenizers"]})
