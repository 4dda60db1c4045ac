"""Where a document's values are: by name, or by the path to a nested value, such as `metadata.url`.

A name with dots means first a column of exactly that name, then the nested one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from corpora.documents.item import WorkItem
from corpora.documents.paths import MISSING, find

# The names that published corpora use, in the order in which they are looked for.
URLS = (
    "url",
    "u",  # HPLT
    "metadata.url",  # Dolma
    "meta.url",  # RedPajama 1
    "warc_headers.warc-target-uri",  # OSCAR 22.01 and 23.01
    "meta.warc_headers.warc-target-uri",  # OSCAR's copies in the Hub
)
TIMESTAMPS = (
    "timestamp",
    "ts",  # HPLT
    "date_download",  # CCNet, RedPajama 2
    "date",  # FineWeb and FineWeb-2
    "metadata.timestamp",
    "meta.timestamp",
    "warc_headers.warc-date",
    "meta.warc_headers.warc-date",
)
_MOST_KEYS = 12
_TEXTS = ("text", "content", "raw_content", "body", "article", "document")  # keys of texts, the likeliest first


def url_names(item: WorkItem) -> tuple[str, ...]:
    """Where the url is: in the column that the source names, or in the first of URLS that has a string."""
    return (item.url_column,) if item.url_column else URLS


def timestamp_names(item: WorkItem) -> tuple[str, ...]:
    return (item.timestamp_column,) if item.timestamp_column else TIMESTAMPS


def find_first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first name, whatever it is, or the first string under the other names; otherwise None."""
    value = find(row, names[0])
    if value is not None and value is not MISSING:
        return value
    others = (find(row, name) for name in names[1:])
    return next((other for other in others if isinstance(other, str)), None)


def keys_of(row: Mapping[str, Any]) -> str:
    """`its keys are content, url`: those of an object, and those that may hold the text in the objects in it."""
    keys = list(row)
    inner = [(key, value) for key, value in row.items() if isinstance(value, Mapping)]
    keys[:0] = [f"{key}.{name}" for key, value in inner for name in _TEXTS if name in value]
    shown = ", ".join(key[:60] for key in keys[:_MOST_KEYS]).encode("utf-8", "replace").decode()
    return f"its keys are {shown}{', ...' if len(keys) > _MOST_KEYS else ''}" if keys else "it has no keys"


def likely_text(keys: Iterable[str]) -> str | None:
    """The one of the keys that may hold the text; None if no name suggests it."""
    known = [key for key in keys if key.rpartition(".")[2] in _TEXTS]
    return min(known, key=lambda key: (key.count("."), _TEXTS.index(key.rpartition(".")[2])), default=None)
