"""Whether inputs can have a column that is asked for, where that is known before they are read."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.documents.item import WorkItem
from corpora.errors import BadArgument
from corpora.files import open_binary

_PLAIN = {"txt": ("text",), "tsv": ("text", "url")}


def refuse_missing_column(items: Sequence[WorkItem], column: str) -> None:
    """Looks at formats, and the first Parquet file's schema; JSON tells only row by row. Raises BadArgument."""
    for item in {item.format: item for item in reversed(items)}.values():
        names = _columns(item)
        if names is not None and column not in names:
            raise BadArgument(f"{item.path} has no column {column}; its columns are {', '.join(names)}")


def _columns(item: WorkItem) -> Sequence[str] | None:
    if item.format != "parquet":
        return _PLAIN.get(item.format)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_binary(item.path) as file:
            names: list[str] = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        return None  # the reader will tell what is wrong with it
    return names
