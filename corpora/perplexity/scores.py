"""Reads back the annotations that `tamiz score` writes: perplexities and languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.annotations.reading import (
    Languages,
    annotation_files,
    encode_strings,
    read_columns,
    read_strings,
    readable,
)
from corpora.errors import DamagedFile
from corpora.home import local
from corpora.manifest import Manifest

ROWS = 1 << 16  # rows read at once: 1 MB

Floats = npt.NDArray[np.float64]


def score_files(content: Manifest) -> list[str]:
    """Names of the files of scores that a manifest lists, in order."""
    return annotation_files(content)


def read_perplexities(path: Path | str) -> Floats:
    """The column `perplexity` of one file of scores, float64[n]; NaN where a row was rejected. Raises DamagedFile."""
    column = read_columns(path, ["perplexity"]).column(0)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def read_rows(path: Path | str) -> npt.NDArray[np.int32]:
    """The column `row` of one file of scores, int32[n], ascending. Raises DamagedFile."""
    column = read_columns(path, ["row"]).column(0)
    return np.asarray(column.to_numpy(), dtype=np.int32)


def places_of(documents: npt.NDArray[np.int32], rows: npt.NDArray[np.int32], path: str) -> npt.NDArray[np.int64]:
    """int64[n]: the place in `rows`, those of the scores, of each of n documents' rows. path: of the documents.

    Raises DamagedFile if a document has no score. Both are ascending.
    """
    places = np.searchsorted(rows, documents)
    if len(places) and (places[-1] >= len(rows) or not np.array_equal(rows[places], documents)):
        raise DamagedFile(f"{path}: its rows don't match its scores: score it again (--rebuild)")
    return places


def check_rows(read: int, rows: npt.NDArray[np.int32], path: str) -> None:
    """Raises DamagedFile unless as many rows were read from the documents at `path` as there are scores."""
    if read != len(rows):
        raise DamagedFile(f"{path} has {read} rows but {len(rows)} scores: score it again (--rebuild)")


def read_languages(path: Path | str) -> Languages:
    """The languages of one file of scores ("" for null), and int64[n]: the index of each row's language."""
    return read_strings(read_columns(path, ["language"]).column(0))


def read_by_language(path: Path | str) -> Iterator[tuple[str, Floats]]:
    """Perplexities of one file of scores, by language, a few thousand rows at a time. Raises DamagedFile."""
    import pyarrow.parquet as pq

    file = readable(path, lambda: pq.ParquetFile(local(path)))
    with file:
        batches = file.iter_batches(ROWS, columns=["perplexity", "language"])
        while (groups := readable(path, lambda: _next_by_language(batches))) is not None:
            yield from groups


def _next_by_language(batches: Iterator[Any]) -> list[tuple[str, Floats]] | None:
    batch = next(batches, None)
    if batch is None:
        return None
    found: dict[str, int] = {}
    perplexities = np.asarray(batch.column("perplexity").to_numpy(zero_copy_only=False), np.float64)
    codes = encode_strings(batch.column("language"), found)
    return [(language, perplexities[codes == code]) for language, code in found.items()]
