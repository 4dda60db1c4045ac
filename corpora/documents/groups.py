"""Groups of documents: the source given by a file's name, and the language given by its source or path."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from corpora.documents.item import WorkItem
from corpora.errors import BadArgument

if TYPE_CHECKING:
    from corpora.documents.batches import DocumentBatch

Per = Literal["all", "language", "source", "language,source"]

UNKNOWN = "unknown"
SOURCE_RULES = ("file", "host", "path")
COLUMN_RULE = "column:"

_ADVICE = "or pass --language or --language-column"
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?:[^/?#@]*@)?([^/?#:@]+)(?::\d*)?(?:/([^/?#]+)(?=/))?", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_SHARD = re.compile(r"(^|[-_.]+)\d+(-of-\d+(-[0-9a-f]{8,})?)?$")


def source_of(name: str) -> str:
    """The source of an input, a work item or a file of scores: its name up to the shard number.

    `c4-es.tfrecord-00000-of-01024.json.gz` -> `c4-es.tfrecord`, `wiki__part-00001.parquet` -> `wiki__part`,
    `books.jsonl` -> `books`. A number at the end counts as a shard number, so `wiki-2023.jsonl` belongs to `wiki`.
    """
    return _SHARD.sub("", _endings().sub("", name))


def _endings() -> re.Pattern[str]:
    """Matches the extensions of all formats and `.itemNNNN`, any number of times."""
    from corpora.documents.formats import FORMATS  # imported here because readers import numpy and settings must not

    return _compiled(FORMATS.names())


@functools.cache
def _compiled(formats: tuple[str, ...]) -> re.Pattern[str]:  # noqa: ARG001 (the key: formats may be added)
    from corpora.documents.formats import extension_pattern

    return re.compile(rf"({extension_pattern()}|\.item\d{{4,}})+$", re.IGNORECASE)


def check_source_by(by: str) -> None:
    """Raises ValueError unless `sources_by` knows the rule."""
    if by not in SOURCE_RULES and not (by.startswith(COLUMN_RULE) and by != COLUMN_RULE):
        raise ValueError(f"source_by is {by!r}; it must be {', '.join(SOURCE_RULES)} or {COLUMN_RULE}NAME")


def source_columns(by: str) -> tuple[str, ...]:
    """The columns, besides the usual ones, that the rule needs."""
    return (by.removeprefix(COLUMN_RULE),) if by.startswith(COLUMN_RULE) else ()


def sources_by(by: str, batch: DocumentBatch, item_name: str) -> list[str]:
    """The source of each document of a batch that was read with `source_columns`; `unknown` if it can't be told."""
    if by == "file":
        return [source_of(item_name)] * len(batch.texts)
    if by.startswith(COLUMN_RULE):
        return [value or UNKNOWN for value in batch.extra[by.removeprefix(COLUMN_RULE)]]
    return [_source_of_url(url or "", folders=by == "path") for url in batch.urls]


def _source_of_url(url: str, folders: bool) -> str:
    """`www.un.org`, or with folders `www.un.org/news`; the port, user and scheme don't count."""
    found = _URL.match(url)
    if not found:
        return UNKNOWN
    host, folder = found[1].lower(), found[2]
    return f"{host}/{folder}" if folders and folder else host


def group_name(per: Per, language: str, source: str) -> str:
    """The name of a document's group: `all`, `es`, `wiki` or `es/wiki`; an empty part is called `unknown`."""
    names = {"all": ["all"], "language": [language], "source": [source], "language,source": [language, source]}[per]
    return "/".join(name or UNKNOWN for name in names)


def language_of_item(item: WorkItem, languages: Iterable[str]) -> str:
    """The one of `languages` that the item's source names, or its path if the source names none.

    Raises BadArgument if the source names another language, or as `language_of_path` does.
    """
    if item.language is None:
        return language_of_path(item.path, languages)
    known = list(languages)
    if item.language not in known:
        raise BadArgument(f"{item.path}: its language is {item.language}; it must be one of {', '.join(known)}")
    return item.language


def check_language_column(items: Sequence[WorkItem], column: str) -> None:
    """Raises BadArgument if an input can't have the column, or has its own language, which it would override."""
    from corpora.documents.formats import refuse_missing_column

    refuse_missing_column(items, column)
    for item in items:
        if item.language is not None:
            raise BadArgument(
                f"{item.path}: language {item.language} and language_column {column!r} are both given: keep one"
            )


def language_of_value(value: str | None) -> str | None:
    """The language that a column's value names: the first, if it is a JSON list (HPLT) or has commas (WET)."""
    if value and value.startswith("["):
        try:
            listed = msgspec.json.decode(value, type=list[str])
        except msgspec.MsgspecError:
            return value
        return listed[0] if listed else None
    return value.partition(",")[0] if value else None


def language_of_path(path: str, languages: Iterable[str]) -> str:
    """The one of `languages` that occurs in the path as a word (a run of letters and digits, in any case).

    The file's name is searched first, then its folder, and so on. `pt-BR` doesn't count as `pt`. Raises BadArgument
    if none of them occurs, or several occur in one part of the path.
    """
    wanted = {language: _words(language) for language in languages}
    for part in reversed(path.replace("\\", "/").split("/")):
        words = _words(part)
        found = {language: name for language, name in wanted.items() if _occurs_in(name, words)}
        longest = [
            language
            for language, name in found.items()
            if not any(len(other) > len(name) and _occurs_in(name, other) for other in found.values())
        ]
        if len(longest) > 1:
            raise BadArgument(
                f"{path}: {' and '.join(sorted(longest))} both occur in {part!r}: keep only one, {_ADVICE}"
            )
        if longest:
            return longest[0]
    raise BadArgument(f"{path}: none of {', '.join(wanted)} occurs in its path: add one, {_ADVICE}")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _occurs_in(name: list[str], words: list[str]) -> bool:
    """Whether `name` occurs in `words` as consecutive words."""
    return any(words[start : start + len(name)] == name for start in range(len(words) - len(name) + 1))
