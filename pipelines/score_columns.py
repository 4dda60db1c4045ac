"""The columns of one file of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora import files

SCHEMA = pa.schema(
    [  # type: ignore[arg-type]  # the stubs lack some constructors
        pa.field("row", pa.int32()),
        pa.field("perplexity", pa.float64()),
        pa.field("num_tokens", pa.int32()),
        pa.field("language", pa.string()),
    ]
)


class ScoreColumns:
    """The score columns of one item, 22 bytes a row, gathered in any order."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = [*languages]
        self._rows = [np.empty(0, np.int32)]
        self._perplexity = [np.empty(0, np.float64)]
        self._num_tokens = [np.empty(0, np.int64)]
        self._language = [np.empty(0, np.int16)]  # -1: null

    def add(
        self, rows: np.ndarray, perplexity: np.ndarray, num_tokens: np.ndarray, language: str | None = None
    ) -> None:
        """n rows: rows int32[n], perplexity float64[n], NaN where there is none, num_tokens int64[n]."""
        code = -1 if language is None else self._languages.index(language)
        self._rows.append(np.asarray(rows, np.int32))
        self._perplexity.append(perplexity)
        self._num_tokens.append(num_tokens)
        self._language.append(np.full(len(rows), code, np.int16))

    def add_rejected(self, rows: Sequence[int]) -> None:
        self.add(np.array(rows, np.int32), np.full(len(rows), np.nan), np.zeros(len(rows), np.int64))

    def languages(self) -> dict[str, int]:
        """Rows by language."""
        counts = np.bincount(np.concatenate(self._language) + 1, minlength=1)[1:]
        return {self._languages[code]: int(counts[code]) for code in np.flatnonzero(counts)}

    def write(self, path: Path) -> tuple[int, int]:
        """Writes them in input order. Returns the numbers of scored rows and of all rows."""
        columns = (self._rows, self._perplexity, self._num_tokens, self._language)
        rows, perplexity, num_tokens, language = (np.concatenate(column) for column in columns)
        order = np.argsort(rows, kind="stable")
        perplexity, language = perplexity[order], language[order]
        null = np.isnan(perplexity)
        names = np.array([*self._languages, None], object)  # code -1 is the last
        table = pa.table(
            [
                pa.array(rows[order]),
                pa.array(perplexity, mask=null),
                pa.array(num_tokens[order].astype(np.int32), mask=null),
                pa.array(names[language], pa.string()),
            ],
            schema=SCHEMA,
        )
        with files.atomic_path(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return int((~null).sum()), len(rows)
