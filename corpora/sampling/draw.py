"""Which documents are kept: a draw keyed by the document, so that order, shards and workers don't matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument
from corpora.randomness import uniform

if TYPE_CHECKING:
    import pyarrow as pa

Strings = Sequence[str | None]


def keep(table: pa.Table | pa.RecordBatch, probability: npt.ArrayLike, seed: int = 0) -> npt.NDArray[np.bool_]:
    """bool[n] for a table with `text` and optionally `url` and `timestamp` (a missing column counts as all null).

    Raises:
        BadArgument: there is no `text` column of strings, a text is null or isn't UTF-8, or the number of
        probabilities isn't the number of rows.
    """
    names = table.schema.names
    if "text" not in names:
        raise BadArgument(f"the table has columns {', '.join(names)}: it must have text")
    from corpora.documents.values import first_column, is_text, texts

    column = first_column(table, "text")
    if not is_text(column.type):
        raise BadArgument(f"column text is {column.type}; it must be string")
    found: list[Any] = texts(column)
    for row, text in enumerate(found):
        if not isinstance(text, str):
            problem = "is null" if text is None else "isn't UTF-8"
            raise BadArgument(f"the text of row {row} {problem}: remove such rows")
    return keep_documents(found, _strings(table, "url"), _strings(table, "timestamp"), probability, seed)


def keep_documents(
    texts: Sequence[str], urls: Strings, timestamps: Strings, probability: npt.ArrayLike, seed: int = 0
) -> npt.NDArray[np.bool_]:
    """bool[n]: kept if u(seed, url, timestamp, text) < probability; never for NaN.

    u is the top 53 bits of xxh3-128 of (seed, "sample", url, timestamp, text) over 2**53; None differs from "".
    """
    thresholds = np.asarray(probability, np.float64)
    if thresholds.shape != (len(texts),):
        raise BadArgument(
            f"probability has shape {thresholds.shape}: it must be one number for each of {len(texts)} rows"
        )
    draws = [
        uniform(seed, "sample", url, timestamp, text)
        for url, timestamp, text in zip(urls, timestamps, texts, strict=True)
    ]
    return np.array(draws, np.float64) < thresholds


def _strings(table: pa.Table | pa.RecordBatch, name: str) -> list[str | None]:
    """As the readers of documents spell the values: both draw the same documents."""
    from corpora.documents.values import first_column, strings

    column = first_column(table, name)
    return [None] * table.num_rows if column is None else strings(column)
