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
        BadArgument: there is no `text` column, a text is null, or the number of probabilities isn't the number of
        rows.
    """
    names = table.schema.names
    if "text" not in names:
        raise BadArgument(f"the table has columns {', '.join(names)}: it must have text")
    from corpora.documents.values import first_column, texts

    found: list[Any] = texts(first_column(table, "text"))
    if None in found:
        raise BadArgument(f"the text of row {found.index(None)} is null: remove rows without text")
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
