"""Score: documents -> scores/, one small file per work item, aligned row by row with the input. No text."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpora.documents.batches import FIRST_BYTES, RejectedRow
from corpora.documents.groups import check_language_column, language_of_item
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch, read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.documents.sources import Inputs
from corpora.errors import BadArgument, DamagedFile
from corpora.manifest import MadeFrom, record
from corpora.perplexity.lm_files import resolve_lm
from corpora.perplexity.model import PerplexityModel
from corpora.perplexity.routing import LmChoice
from pipelines.accounts import input_identities
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.score_columns import ScoreColumns
from pipelines.settings import RunnerSettings, ScoreSettings
from pipelines.stage import Finish, Outcome, run_stage, settings_dict

ALGORITHM = 1
LANGUAGE_CHARACTERS = 64  # of a language without a model, in its row's reason


@dataclass(frozen=True)
class ScoreWork:
    """Scores one work item: writes <out>/<name>.parquet and, if rows were rejected, rejected/<name>.jsonl.

    models: one without a language scores everything; else each document is scored by the model of its language,
    which its `language_column` says, or, where that is None, the path of its file.
    """

    out: str
    fingerprint: str
    models: tuple[LmChoice, ...]
    language_column: str | None = None

    def __call__(self, item: WorkItem) -> ItemResult:
        out, damage = Path(self.out), None
        scorer = _Scorer(self, item)
        with RejectedWriter(out / "rejected" / f"{item.name}.jsonl") as rejected:
            for batch in read_batches(item, columns=scorer.columns):
                rejected.write(scorer.score(batch))
                damage = batch.damage or damage
        path = out / f"{item.name}.parquet"
        scored, read = scorer.scores.write(path)
        written = [record(out, path, rows=read)]
        if rejected.rows:
            written.append(record(out, rejected.path, rows=rejected.rows))
        return ItemResult(
            name=item.name,
            number=item.number,
            read=read,
            kept=scored,
            rejected=dict(sorted(rejected.counts.items())),
            damage=damage,
            files=written,
            facts={"languages": scorer.scores.languages()},
        )


class ScoreDocuments(WorkOnItems):
    """PCollection[WorkItem] -> PCollection[ItemResult]. Writes scores; memory is bounded by workers x one batch."""

    def __init__(self, work: ScoreWork) -> None:
        super().__init__(work)


class _Scorer:
    """The scores of one item, batch by batch."""

    def __init__(self, work: ScoreWork, item: WorkItem) -> None:
        self._file = item.path
        self._models = {model.language: model for model in work.models}
        self._column = work.language_column
        languages = [language for language in self._models if language is not None]
        self._language = None if self._column or not languages else language_of_item(item, languages)
        self.columns = (self._column,) if self._column else ()
        self.scores = ScoreColumns(languages)

    def score(self, batch: DocumentBatch) -> list[RejectedRow]:
        """Returns the rows without a score: those that were none, and documents whose language has no model."""
        bad = batch.rejected
        if self._column is None:
            self._score_texts(batch.rows, batch.texts, self._language)
        else:
            bad = bad + self._score_by_column(batch, batch.extra[self._column])
        self.scores.add_rejected([r.row for r in bad])
        return sorted(bad, key=lambda rejected: rejected.row)

    def _score_by_column(self, batch: DocumentBatch, languages: list[str | None]) -> list[RejectedRow]:
        places: dict[str | None, list[int]] = {}
        for place, language in enumerate(languages):
            places.setdefault(language or None, []).append(place)
        unscored = []
        for language, chosen in places.items():
            if language is not None and language in self._models:
                self._score_texts(batch.rows[chosen], [batch.texts[place] for place in chosen], language)
            else:
                unscored += [self._unscored(batch, place, language) for place in chosen]
        return unscored

    def _score_texts(self, rows: np.ndarray, texts: list[str], language: str | None) -> None:
        choice = self._models[language]
        perplexity, num_tokens = _model(choice).score_with_lengths(texts)
        if np.isnan(perplexity).any():
            bad = rows[np.isnan(perplexity)][0]
            raise DamagedFile(f"{choice.path}: no number comes out for {self._file}, row {bad}: damaged model")
        self.scores.add(rows, perplexity, num_tokens, language)

    def _unscored(self, batch: DocumentBatch, place: int, language: str | None) -> RejectedRow:
        reason = "no language" if language is None else f"no model for language: {language[:LANGUAGE_CHARACTERS]}"
        start = batch.texts[place][:FIRST_BYTES].encode()[:FIRST_BYTES]
        return RejectedRow(self._file, int(batch.rows[place]), reason, start)


_loading = threading.Lock()


def _model(choice: LmChoice) -> PerplexityModel:
    """One model of each language per process, loaded where its first document is met, shared by its threads.

    The files are mapped; every thread has a word cache of its own (`corpora.encoding.sentencepiece.word_pieces`).
    """
    with _loading:
        return _load(choice)


@functools.cache
def _load(choice: LmChoice) -> PerplexityModel:
    return PerplexityModel(choice.path, tokenizer=choice.tokenizer, mode=choice.mode, trust=choice.trust)


def score(
    patterns: Inputs,
    lm: Path | Sequence[LmChoice],
    out: Path,
    settings: ScoreSettings,
    runner: RunnerSettings,
    *,
    tokenizer: Path | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Scores every document that the patterns name, under one model or under that of its language.

    Raises BadArgument for a pattern without files or a file that tells no language, DamagedFile for a bad model,
    StaleOutput for other work's folder.
    """
    if isinstance(lm, Path):
        lm = [LmChoice(str(lm), tokenizer=str(tokenizer) if tokenizer else None, mode=settings.mode)]
    if settings.language_column is not None and any(model.language is None for model in lm):
        raise BadArgument(
            f"language_column is {settings.language_column!r}, but the model names no language: es=LM.bin"
        )
    items = work_items(patterns, settings.item_bytes)
    routes = _routes(items, lm) if settings.language_column is None else {}
    if settings.language_column is not None:
        check_language_column(items, settings.language_column)
    _load.cache_clear()  # the file may hold another model than at the last call
    made_from = MadeFrom(
        stage="score",
        algorithm=ALGORITHM,
        settings={**_plain(settings), **_identities(lm), **routes},
        inputs=input_identities(items, out),
    )
    if len(lm) == 1:
        _model(lm[0])  # what is wrong with it is told before any work
    work = ScoreWork(str(out), made_from.fingerprint(), tuple(lm), settings.language_column)
    return run_stage(
        out, made_from, work, lambda: ScoreDocuments(work), items, runner,
        rebuild=rebuild, progress=progress, finish=_count_languages,
    )  # fmt: skip


def _count_languages(results: list[ItemResult]) -> Finish:
    """Documents scored, by language; none where the model has no language."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.facts.get("languages", {}))
    return Finish([], {"languages": dict(sorted(total.items()))} if total else {})


def _plain(settings: ScoreSettings) -> dict[str, Any]:
    """Without a language column as before there was one, so that no finished folder is stale for it."""
    plain = settings_dict(settings)
    return {key: value for key, value in plain.items() if key != "language_column" or value is not None}


def _identities(models: Sequence[LmChoice]) -> dict[str, Any]:
    """What the fingerprint covers: language -> mode and sha256 of model and tokenizer; of a single model plainly."""
    found = {}
    for choice in models:
        files_ = resolve_lm(choice.path, choice.tokenizer, choice.mode, trust=choice.trust)
        found[choice.language] = {"mode": files_.mode, **files_.sha256}
    if None in found:
        return found[None]
    return {"mode": None, "models": dict(sorted(found.items()))}


def _routes(items: list[WorkItem], models: Sequence[LmChoice]) -> dict[str, Any]:
    """Language -> a digest of the names of the inputs whose path says so: a folder's name decides, but is no part of
    an input's. Raises BadArgument for a path that says none."""
    languages = [model.language for model in models if model.language is not None]
    if not languages:
        return {}
    names: dict[str, set[str]] = {}
    for item in items:
        names.setdefault(language_of_item(item, languages), set()).add(item.input_name)
    digests = {language: hashlib.sha256("\n".join(sorted(names[language])).encode()) for language in sorted(names)}
    return {"inputs_by_path": {language: digest.hexdigest()[:32] for language, digest in digests.items()}}
