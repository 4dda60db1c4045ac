"""Several language models, one a language: how they are named, and which a document is scored with.

A document's language stands in a column of its own, or is told by its file's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from corpora.errors import BadArgument
from corpora.perplexity.lm_manifest import manifest_path

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class LmChoice:
    """A language model as it is asked for. language: None for one that scores everything.

    tokenizer, mode: None for what LM.json says. trust: see lm_manifest.check_trusted.
    """

    path: str
    language: str | None = None
    tokenizer: str | None = None
    mode: str | None = None
    trust: bool = False


def choose_models(
    models: Sequence[str], tokenizers: Sequence[str] = (), mode: str | None = None, *, trust: bool = False
) -> tuple[LmChoice, ...]:
    """`LM.bin`, or `LANGUAGE=LM.bin` for each language; tokenizers alike.

    With languages, a tokenizer without language is that of all models that bring no LM.json; mode is that of all.
    Raises BadArgument for names that can't be.
    """
    named = _named("--lm", models)
    given = _named("--tokenizer", tokenizers)
    if None in named:
        if len(named) > 1 or set(given) - {None}:
            listed = " ".join([*models, *tokenizers])
            raise BadArgument(f"{listed}: name the language of each, as in --lm es=es.bin --lm pt=pt.bin")
        return (LmChoice(named[None], None, given.get(None), mode, trust),)
    for language in given:
        if language is not None and language not in named:
            raise BadArgument(f"--tokenizer {language}={given[language]}: no --lm {language}=LM.bin is given")
    chosen = []
    for language, path in named.items():
        choice = LmChoice(path, language, given.get(language), mode, trust)
        if not manifest_path(path).is_file():
            choice = replace(choice, tokenizer=choice.tokenizer or given.get(None))
        chosen.append(choice)
    if None in given and all(choice.tokenizer != given[None] for choice in chosen):
        raise BadArgument(f"--tokenizer {given[None]}: every --lm brings its own with LM.json: leave it out")
    return tuple(chosen)


def _named(option: str, values: Iterable[str]) -> dict[str | None, str]:
    """Language -> path; None for a path without one. A path that holds `=` can be written with `./` before it."""
    found: dict[str | None, str] = {}
    for value in values:
        name, equals, path = value.partition("=")
        language = name if equals and _LANGUAGE.fullmatch(name) else None
        if language is None and language in found:
            raise BadArgument(f"{option} {value}: name the language of each, as in {option} es=A {option} pt=B")
        if language in found:
            raise BadArgument(f"{option} {value}: {language or 'a file without language'} is given twice")
        found[language] = value if language is None else path
    return found


def language_of_path(path: str, languages: Iterable[str]) -> str:
    """The one of `languages` that stands in the path as a word (a run of letters and digits, whatever its case).

    The file's name counts first, then its folder, and so on. `pt-BR` there is not also `pt`. Raises BadArgument
    where none stands there, or several in one place.
    """
    asked = {language: _words(language) for language in languages}
    for part in reversed(path.replace("\\", "/").split("/")):
        words = _words(part)
        found = {language: name for language, name in asked.items() if _stands_in(name, words)}
        longest = [
            language
            for language, name in found.items()
            if not any(len(other) > len(name) and _stands_in(name, other) for other in found.values())
        ]
        if len(longest) > 1:
            raise BadArgument(f"{path}: {' and '.join(sorted(longest))} both stand in {part!r}: name one, {_ADVICE}")
        if longest:
            return longest[0]
    raise BadArgument(f"{path}: none of {', '.join(asked)} stands in its path: put it there, {_ADVICE}")


_ADVICE = "or pass --language-column"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _stands_in(name: list[str], words: list[str]) -> bool:
    """Whether `name` is a run of `words`."""
    return any(words[start : start + len(name)] == name for start in range(len(words) - len(name) + 1))
