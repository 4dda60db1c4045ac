"""Several language models, one per language: how they are named, and which one scores a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from corpora.errors import BadArgument
from corpora.perplexity.lm_copies import has_manifest
from corpora.text.normalise import CCNET, Normaliser

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class LmChoice:
    """A language model as the user names it. language: None for a model that scores everything.

    tokenizer, mode: None to take them from LM.json. trust: see lm_manifest.check_trusted. normaliser: of a model
    without LM.json.
    """

    path: str
    language: str | None = None
    tokenizer: str | None = None
    mode: str | None = None
    trust: bool = False
    normaliser: Normaliser = CCNET


def is_language(name: str) -> bool:
    """Whether it is written as a language's code: `es`, `pt-BR`, `zh_Hant`."""
    return _LANGUAGE.fullmatch(name) is not None


def choose_models(
    models: Sequence[str],
    tokenizers: Sequence[str] = (),
    mode: str | None = None,
    *,
    trust: bool = False,
    normaliser: Normaliser = CCNET,
) -> tuple[LmChoice, ...]:
    """`LM.bin`, or `LANGUAGE=LM.bin` for each language; tokenizers alike.

    With languages, a tokenizer without a language and the normaliser are for all models without LM.json, and mode is
    for all models.
    Raises BadArgument for invalid combinations.
    """
    named = _named("--lm", models)
    given = _named("--tokenizer", tokenizers)
    if None in named:
        if len(named) > 1 or set(given) - {None}:
            listed = " ".join([*models, *tokenizers])
            raise BadArgument(f"{listed}: name the language of each, as in --lm es=es.bin --lm pt=pt.bin")
        return (LmChoice(named[None], None, given.get(None), mode, trust, normaliser),)
    for language in given:
        if language is not None and language not in named:
            raise BadArgument(f"--tokenizer {language}={given[language]}: no --lm {language}=LM.bin is given")
    chosen = []
    for language, path in named.items():
        choice = LmChoice(path, language, given.get(language), mode, trust)
        if not has_manifest(path):
            choice = replace(choice, tokenizer=choice.tokenizer or given.get(None), normaliser=normaliser)
        chosen.append(choice)
    if all(choice.normaliser != normaliser for choice in chosen):
        raise BadArgument("lower_case and remove_accents: every --lm has its LM.json: leave them out")
    if None in given and all(choice.tokenizer != given[None] for choice in chosen):
        raise BadArgument(f"--tokenizer {given[None]}: every --lm names its own in LM.json: leave it out")
    return tuple(chosen)


def _named(option: str, values: Iterable[str]) -> dict[str | None, str]:
    """Language -> path; None for a path without one. A path that contains `=` can be written with `./` before it."""
    found: dict[str | None, str] = {}
    for value in values:
        name, equals, path = value.partition("=")
        language = name if equals and is_language(name) else None
        if language is None and language in found:
            raise BadArgument(f"{option} {value}: name the language of each, as in {option} es=A {option} pt=B")
        if language in found:
            raise BadArgument(f"{option} {value}: {language or 'a file without language'} is given twice")
        found[language] = value if language is None else path
    return found
