"""The settings of a recipe's language models: `[lm]`, and `[lm.languages.ko]` where each language has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from corpora.documents.sources import SOURCES
from corpora.perplexity.routing import is_language
from corpora.perplexity.settings import LmSettings
from tamiz.recipes.schema import Recipe, Section, patterns
from tamiz.stages.common import Part, with_section

LANGUAGES = "languages"
_TRAINED_ON = ("file", "input", "source")
_ESTIMATED = ("order", "prune", "mode", "words", "skip_symbols", "train_tokenizer", "arpa", "memory")  # not brought
_EXCLUSIVE = (_TRAINED_ON, ("words", "tokenizer", "train_tokenizer"))  # of each group, a model has one key
Tables = dict[str, dict[str, Any]]


class LmSource(LmSettings, frozen=True, kw_only=True):
    """A language model: trained on `input` or on a named `source`, or brought as `file`."""

    source: str | None = None
    """A corpus to train on, by name: a key of corpora.documents.sources.SOURCES."""
    source_share: float = 1.0
    """The share of the named source's documents to train on, drawn by their text; `input` is always taken whole."""
    input: tuple[str, ...] | str | None = None
    """Patterns of the files to train on."""
    file: str | None = None
    """A ready KenLM file. Without LM.json beside it, it needs `tokenizer` and score.mode."""
    trust: bool = False
    """Whether to open a `file` that kenlm loads (a trie, an ARPA file) with no sha256 recorded, and to record it."""
    languages: Tables | None = None
    """A model for each language of the documents: `[lm.languages.ko]` is a table with keys of [lm], which override
    those of [lm]; each has its own `input`, `source` or `file`. None: one model scores everything."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input is not None and not self.input:
            raise ValueError("input is empty: name patterns of files, or remove it")
        if self.file == "":
            raise ValueError("file is empty: name a KenLM file, or remove it")
        if not 0 < self.source_share <= 1:
            raise ValueError(f"source_share is {self.source_share}; it must be above 0 and at most 1")
        given = [name for name in _TRAINED_ON if getattr(self, name) is not None]
        if self.languages:
            self._check_languages(self.languages, given)
        elif len(given) != 1:
            raise ValueError(
                f"{' and '.join(given)} exclude each other: a model is brought, or trained on one of them"
                if given
                else "nothing to train on: give input, source, or a ready model as file"
            )
        if self.source is not None and self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}; it must be one of {', '.join(SOURCES)}")

    def _check_languages(self, languages: Tables, given: list[str]) -> None:
        shared = [*given, *(["arpa"] if self.arpa else [])]
        if shared:
            raise ValueError(f"{shared[0]} is of one model, but lm.languages has several: move it into one of them")
        for language in languages:
            place = f"lm.{LANGUAGES}.{language}"
            if not is_language(language):
                raise ValueError(f"{place}: {language!r} is not a language; write its code, such as ko or pt-BR")
            try:
                self.of(language)
            except msgspec.ValidationError as error:
                text = str(error).partition(" - at `$")[0]
                key = text.partition(" is ")[0]
                raise ValueError(f"{place}.{text}" if key in self.__struct_fields__ else f"{place}: {text}") from None

    def of(self, language: str) -> LmSource:
        """The settings of one language's model. Raises msgspec.ValidationError."""
        own = (self.languages or {})[language]
        taken = {key for group in _EXCLUSIVE if not own.keys().isdisjoint(group) for key in group}
        plain: dict[str, Any] = msgspec.to_builtins(self)
        shared = {key: value for key, value in plain.items() if key not in (*taken, LANGUAGES) and value is not None}
        return msgspec.convert({**shared, **own}, LmSource)

    @property
    def models(self) -> Mapping[str | None, LmSource]:
        """The settings of each language's model; or of the one model, whose language is None."""
        return {language: self.of(language) for language in self.languages} if self.languages else {None: self}

    @property
    def patterns(self) -> list[str]:
        """The files to train on."""
        return patterns(self.input) if self.source is None else [SOURCES[self.source].pattern]

    @property
    def share(self) -> float:
        """The share of their documents to train on."""
        return 1.0 if self.input else self.source_share


def rehearsed(recipe: Recipe, part: Part) -> Recipe:
    """Each model that is trained learns from a part of its documents."""

    def files(lm: LmSource) -> tuple[str, ...]:
        return tuple(pattern for source in part.sources(lm.patterns) for pattern in source.patterns)

    def table(lm: LmSource, own: dict[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in own.items() if key not in ("source", "source_share", "input")}
        return own if lm.file else {**rest, "input": files(lm)}

    lm: LmSource = recipe.lm
    if lm.languages:
        return with_section(
            recipe, "lm", languages={name: table(lm.of(name), own) for name, own in lm.languages.items()}
        )
    if lm.file:
        return recipe
    return with_section(recipe, "lm", input=files(lm), source=None, source_share=1.0, arpa=None)


SECTION = Section(
    "lm",
    LmSource,
    displaces={
        "file": ("input", "source", "source_share", LANGUAGES, *_ESTIMATED),
        "input": ("file", "trust", "source", "source_share", LANGUAGES),
        "source": ("file", "trust", "input", LANGUAGES),
        LANGUAGES: (*_TRAINED_ON, "arpa"),
    },
    variants=LANGUAGES,
)
