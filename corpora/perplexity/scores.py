"""Reading scores/ back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.manifest import Manifest

ROWS = 1 << 16  # read at once: 1 MB

Floats = npt.NDArray[np.float64]
Read = TypeVar("Read")


def score_files(content: Manifest) -> list[str]:
    """Names of the files of scores that a manifest lists, in order."""
    return [r.path for r in content.files if r.path.endswith(".parquet")]


def read_perplexities(path: Path) -> Floats:
    """The column `perplexity` of one Parquet file, float64[n]; NaN where a row was rejected. Raises DamagedFile."""
    import pyarrow.parquet as pq

    column = _told(path, lambda: pq.read_table(path, columns=["perplexity"]).column(0))
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def read_rows(path: Path) -> npt.NDArray[np.int32]:
    """The column `row` of one file of scores, int32[n], ascending. Raises DamagedFile."""
    import pyarrow.parquet as pq

    column = _told(path, lambda: pq.read_table(path, columns=["row"]).column(0))
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int32)


def read_languages(path: Path) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The languages of one file of scores ("" for null), and int64[n]: each row's place among them."""
    import pyarrow.parquet as pq

    read = _told(path, lambda: pq.read_table(path, columns=["language"]).to_batches())
    found: dict[str, int] = {}
    codes = [_codes(batch.column(0), found) for batch in read]
    return list(found), np.concatenate([np.empty(0, np.int64), *codes])


def read_by_language(path: Path) -> Iterator[tuple[str, Floats]]:
    """Perplexities of one file of scores, a language's rows of a few thousand at a time. Raises DamagedFile."""
    import pyarrow.parquet as pq

    file = _told(path, lambda: pq.ParquetFile(path))
    with file:
        batches = file.iter_batches(ROWS, columns=["perplexity", "language"])
        while (groups := _told(path, lambda: _next_by_language(batches))) is not None:
            yield from groups


def _next_by_language(batches: Iterator[Any]) -> list[tuple[str, Floats]] | None:
    batch = next(batches, None)
    if batch is None:
        return None
    found: dict[str, int] = {}
    perplexities = np.asarray(batch.column("perplexity").to_numpy(zero_copy_only=False), np.float64)
    codes = _codes(batch.column("language"), found)
    return [(language, perplexities[codes == code]) for language, code in found.items()]


def _codes(column: Any, found: dict[str, int]) -> npt.NDArray[np.int64]:
    """int64[n]: the number of each row's language in `found`, which new languages are added to."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named: Any = pc.fill_null(column.cast(pa.string()), "")
    encoded = named.dictionary_encode()
    numbers = [found.setdefault(language, len(found)) for language in encoded.dictionary.to_pylist()]
    places = encoded.indices.to_numpy(zero_copy_only=False)
    codes: npt.NDArray[np.int64] = np.array(numbers, np.int64)[places]
    return codes


def _told(path: Path, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} can't be read ({reason}): make it again (--rebuild)") from None
