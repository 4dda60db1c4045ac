"""Groups of documents: the source and the language that a file's path names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from corpora.errors import BadArgument

Per = Literal["all", "language", "source", "language,source"]

UNKNOWN = "unknown"

_EXTENSIONS = re.compile(r"(\.(jsonl|json|parquet|tsv|txt)(\.(gz|zst))?|\.item\d{4,})+$", re.IGNORECASE)
_ADVICE = "or pass --language-column"
_WORD = re.compile(r"[^\W_]+")
_SHARD = re.compile(r"(^|[-_.]+)\d+(-of-\d+(-[0-9a-f]{8,})?)?$")


def source_of(name: str) -> str:
    """The source that an input, a work item or a file of scores belongs to: its name up to the shard number.

    `c4-es.tfrecord-00000-of-01024.json.gz` -> `c4-es.tfrecord`, `wiki__part-00001.parquet` -> `wiki__part`,
    `books.jsonl` -> `books`. A last number is taken for a shard's, so `wiki-2023.jsonl` belongs to `wiki`.
    """
    return _SHARD.sub("", _EXTENSIONS.sub("", name))


def group_name(per: Per, language: str, source: str) -> str:
    """What the group of a document is called: `all`, `es`, `wiki` or `es/wiki`; what is empty is `unknown`."""
    names = {"all": ["all"], "language": [language], "source": [source], "language,source": [language, source]}[per]
    return "/".join(name or UNKNOWN for name in names)


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


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _stands_in(name: list[str], words: list[str]) -> bool:
    """Whether `name` is a run of `words`."""
    return any(words[start : start + len(name)] == name for start in range(len(words) - len(name) + 1))
