"""The annotator that `tamiz score` runs: perplexity under one language model, or under a model per language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import pyarrow as pa

from corpora.annotations.annotator import FACTS, REASON, Annotator
from corpora.documents.batches import DocumentBatch, TextBatch
from corpora.documents.groups import check_language_column, language_of_item, language_of_value
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, DamagedFile
from corpora.loaded import Loaded, check_content
from corpora.perplexity.lm_files import LmFiles, resolve_lm
from corpora.perplexity.model import PerplexityModel, Scores
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import ScoringMode
from corpora.perplexity.unknown_tokens import ALL, TOKENS, UNKNOWN_TOKENS
from corpora.text.normalise import CCNET, Normaliser
from corpora.texts import Utf8

NOTHING_LEFT = "nothing left to score"  # by the normaliser, in mode ccnet: CCNet gives no perplexity either
LANGUAGE_CHARACTERS = 64  # the most characters of an unknown language to show in a rejection reason
Content = tuple[str | None, str | None]  # sha256 of model and tokenizer


class Perplexity(Annotator, frozen=True, kw_only=True, tag="perplexity"):
    """Columns: perplexity, num_tokens (tokens, plus one end of sentence per line), language of the model."""

    schema: ClassVar[Mapping[str, str]] = {"perplexity": "float64", "num_tokens": "int32", "language": "string"}
    counted: ClassVar[Mapping[str, str]] = {"languages": "language"}

    models: tuple[LmChoice, ...]
    """One model without a language scores everything; otherwise, each document's language decides."""
    language_column: str | None = None
    """The column with a document's language. None: the path of its file names the language."""
    content: tuple[Content, ...] = ()
    """The content of each model's files, by sha256; `pinned` fills it in."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.language_column,) if self.language_column else ()

    @property
    def takes_texts(self) -> bool:
        return self.language_column is None

    @property
    def languages(self) -> list[str]:
        """The languages of the models; none for a model that scores everything."""
        return [model.language for model in self.models if model.language is not None]

    def check(self, items: Sequence[WorkItem]) -> None:
        """Raises BadArgument for a language column that doesn't exist or is useless: a model has no language."""
        if self.language_column is not None:
            if len(self.languages) < len(self.models):
                raise BadArgument(
                    f"language_column is {self.language_column!r}, but a model has no language: "
                    "name it, as in es=LM.bin"
                )
            check_language_column(items, self.language_column)

    def pinned(self) -> Self:
        """A copy bound to the files' current content: a worker with other files refuses to continue."""
        return msgspec.structs.replace(self, content=tuple(_content(choice) for choice in self.models))

    def identity(self, items: Sequence[WorkItem]) -> dict[str, Any]:
        """Mode and sha256 of model and tokenizer, for each language, or of the one model without a language.

        Raises BadArgument for a path that names no language.
        """
        column = {"language_column": self.language_column} if self.language_column else {}
        routes = {} if self.language_column or not self.languages else _routes(items, self.languages)
        found: dict[str | None, dict[str, Any]] = {}
        for choice in self.models:
            files = _resolved(choice)
            found[choice.language] = {"mode": files.mode, **files.sha256, **_unusual(files.normaliser)}
        models = found[None] if None in found else {"mode": None, "models": dict(sorted(found.items()))}
        return {**column, **models, **routes}

    def mode(self, choice: LmChoice) -> ScoringMode:
        """The mode that the model of `choice` is used in."""
        return _resolved(choice).mode

    def load(self) -> PerplexityScorer:
        """A single model is loaded now; with several models, each is loaded at its first document."""
        scorer = PerplexityScorer(self if self.content else self.pinned())
        if len(self.models) == 1:
            scorer.model(self.models[0].language)
        return scorer


def _content(choice: LmChoice) -> Content:
    sha256 = _resolved(choice).sha256
    return sha256["lm_sha256"], sha256["tokenizer_sha256"]


def _resolved(choice: LmChoice) -> LmFiles:
    return resolve_lm(choice.path, choice.tokenizer, choice.mode, trust=choice.trust, normaliser=choice.normaliser)


def _unusual(normaliser: Normaliser) -> dict[str, bool]:
    """The normaliser as the fingerprint sees it: nothing for CCNet's, which had no settings once."""
    return {} if normaliser == CCNET else normaliser._asdict()


def _routes(items: Sequence[WorkItem], languages: Sequence[str]) -> dict[str, Any]:
    """Language -> a digest of the names of the inputs whose path names it: a folder's name may decide, and isn't part
    of an input's name."""
    names: dict[str, set[str]] = {}
    for item in items:
        names.setdefault(language_of_item(item, languages), set()).add(item.input_name)
    digests = {language: hashlib.sha256("\n".join(sorted(names[language])).encode()) for language in sorted(names)}
    return {"inputs_by_path": {language: digest.hexdigest()[:32] for language, digest in digests.items()}}


def _load(choice: LmChoice, expected: Content) -> PerplexityModel:
    """Raises TamizError if the files have different content."""
    lm, tokenizer = _content(choice)
    check_content(choice.path, lm, expected[0])
    check_content(f"the tokenizer of {choice.path}", tokenizer, expected[1])
    return PerplexityModel(
        choice.path, choice.tokenizer, choice.mode, trust=choice.trust, normaliser=choice.normaliser
    )


class PerplexityScorer:
    """Annotates batches of documents. Threads share its models, but each has a word cache."""

    def __init__(self, settings: Perplexity) -> None:
        self._settings = settings
        self._content = dict(zip(settings.models, settings.content, strict=True))
        self._choices = {choice.language: choice for choice in settings.models}
        self._loaded: Loaded[PerplexityModel] = Loaded(size=len(settings.models))

    def model(self, language: str | None) -> PerplexityModel:
        """The model of the language, or the only one. Raises as `PerplexityModel` does."""
        choice = self._choices[language]
        return self._loaded.get(language, lambda: _load(choice, self._content[choice]))

    def __call__(self, batch: DocumentBatch | TextBatch, item: WorkItem) -> dict[str, Any]:
        column = self._settings.language_column
        if column is not None:
            assert isinstance(batch, DocumentBatch)
            return self._by_column(batch, item, [language_of_value(value) for value in batch.extra[column]])
        languages = self._settings.languages
        language = language_of_item(item, languages) if languages else None
        found = self._score(language, batch.texts, batch.rows, item)
        named: Any = pa.nulls(len(batch.texts), pa.string()) if language is None else [language] * len(batch.texts)
        columns = {"perplexity": found.perplexity, "num_tokens": found.lengths, "language": named}
        empty = np.flatnonzero(found.lengths == 0).tolist()
        if empty:
            reasons: list[str | None] = [None] * len(batch.texts)
            for place in empty:
                reasons[place] = NOTHING_LEFT
            columns[REASON] = reasons
        return {**columns, FACTS: _counts({language: found})}

    def _by_column(self, batch: DocumentBatch, item: WorkItem, languages: list[str | None]) -> dict[str, Any]:
        number = len(batch.texts)
        perplexity, num_tokens = np.full(number, np.nan), np.zeros(number, np.int64)
        places: dict[str | None, list[int]] = {}
        for place, language in enumerate(languages):
            places.setdefault(language or None, []).append(place)
        reasons: list[str | None] = [None] * number
        scored: dict[str | None, Scores] = {}
        for language, chosen in places.items():
            if language is not None and language in self._choices:
                texts = [batch.texts[place] for place in chosen]
                found = scored[language] = self._score(language, texts, batch.rows[chosen], item)
                perplexity[chosen], num_tokens[chosen] = found.perplexity, found.lengths
                for place in chosen:
                    reasons[place] = NOTHING_LEFT if num_tokens[place] == 0 else None
            else:
                for place in chosen:
                    reasons[place] = _reason(language)
        columns = {"perplexity": perplexity, "num_tokens": num_tokens, "language": languages}
        return {**columns, REASON: reasons, FACTS: _counts(scored)}

    def _score(self, language: str | None, texts: list[str] | Utf8, rows: np.ndarray, item: WorkItem) -> Scores:
        found = self.model(language).scores(_arrow(texts) if isinstance(texts, Utf8) else texts)
        wrong = np.isnan(found.perplexity) & (found.lengths > 0)
        if wrong.any():
            lm = self._choices[language].path
            raise DamagedFile(
                f"{lm}: the score of {item.path}, row {rows[wrong][0]} is not a number: the model is damaged"
            )
        return found


def _arrow(texts: Utf8) -> Any:
    """The same buffers as an Arrow array."""
    ends, data = texts.offsets.data, texts.data.data
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(data))


def _counts(scored: Mapping[str | None, Scores]) -> dict[str, dict[str, int]]:
    """How many tokens each language's model scored, and how many of them it doesn't know."""
    tokens = {language or ALL: found.tokens for language, found in scored.items()}
    unknown = {language or ALL: found.unknown for language, found in scored.items()}
    return {TOKENS: tokens, UNKNOWN_TOKENS: unknown}


def _reason(language: str | None) -> str:
    return "no language" if language is None else f"no model for language: {language[:LANGUAGE_CHARACTERS]}"
