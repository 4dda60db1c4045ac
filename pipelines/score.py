"""Score: documents -> scores/. It runs the annotator `perplexity`; its folders keep their old stage name, `score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.sources import Inputs
from corpora.home import Place
from corpora.manifest import MadeFrom, is_finished
from corpora.perplexity.annotator import Perplexity, PerplexityScorer
from corpora.perplexity.routing import LmChoice
from corpora.text.normalise import Normaliser
from pipelines.accounts import input_identities
from pipelines.annotate import AnnotateWork, run_annotator
from pipelines.known_tokens import check_known
from pipelines.once import ItemResult
from pipelines.runners import Progress
from pipelines.settings import RunnerSettings, ScoreSettings
from pipelines.stage import Outcome, settings_dict


@dataclass(frozen=True)
class ScoreWork:
    """Scores one work item: writes <out>/<name>.parquet and, if rows were rejected, rejected/<name>.jsonl.

    models: a single model without a language scores everything; otherwise each document is scored by the model of its
    language. `language_column` gives the language, or the path of the document's file if that is None. Creating it
    records the sha256 of the models' files; a worker whose files differ raises an error.
    """

    out: str
    fingerprint: str
    models: tuple[LmChoice, ...]
    language_column: str | None = None
    _work: AnnotateWork = field(init=False, repr=False)

    def __post_init__(self) -> None:
        annotator = Perplexity(models=self.models, language_column=self.language_column)
        object.__setattr__(self, "_work", AnnotateWork(self.out, self.fingerprint, annotator))

    def __call__(self, item: WorkItem) -> ItemResult:
        return self._work(item)


def score(
    patterns: Inputs,
    lm: str | Path | Sequence[LmChoice],
    out: Place,
    settings: ScoreSettings,
    runner: RunnerSettings,
    *,
    tokenizer: str | Path | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Scores every document that the patterns name, with one model or with the model of its language.

    Raises BadArgument for a pattern that matches no files, a path that names no language, or a model that doesn't
    know the documents' words, DamagedFile for a bad model, StaleOutput if the folder was made from something else.
    """
    if isinstance(lm, str | Path):
        given = str(tokenizer) if tokenizer else None
        lm = [LmChoice(str(lm), None, given, settings.mode, normaliser=normaliser_of(settings))]
    annotator = Perplexity(models=tuple(lm), language_column=settings.language_column)
    items = work_items(patterns, settings.item_bytes)
    annotator.check(items)
    made_from = MadeFrom(
        stage="score",
        algorithm=_algorithm(annotator),
        settings={**_plain(settings), **annotator.identity(items)},
        inputs=input_identities(items, out),
    )
    if not settings.allow_unknown and (rebuild or not is_finished(out, made_from)):
        _check(items, annotator, str(out), made_from.fingerprint())
    return run_annotator(items, annotator, out, made_from, runner, facts={}, rebuild=rebuild, progress=progress)


def _check(items: list[WorkItem], annotator: Perplexity, out: str, fingerprint: str) -> None:
    scorer = AnnotateWork(out, fingerprint, annotator).load()  # kept for the run itself
    assert isinstance(scorer, PerplexityScorer)
    check_known(items, annotator, scorer)


def normaliser_of(settings: ScoreSettings) -> Normaliser:
    return Normaliser(settings.lower_case, settings.remove_accents)


def _algorithm(annotator: Perplexity) -> int:
    """2 since mode ccnet gives no perplexity to a text of which the normaliser leaves nothing."""
    ccnet = any(annotator.mode(choice) == "ccnet" for choice in annotator.models)
    return annotator.algorithm + ccnet


def _plain(settings: ScoreSettings) -> dict[str, Any]:
    """Leaves out an unset `language_column`, so that fingerprints are the same as before this setting existed.

    The model's identity says what its normaliser is; `allow_unknown` changes no score.
    """
    plain = settings_dict(settings)
    unset = {"lower_case", "remove_accents", "allow_unknown"} | (
        {"language_column"} if settings.language_column is None else set()
    )
    return {key: value for key, value in plain.items() if key not in unset}
