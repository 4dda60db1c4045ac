"""Reading scores/ back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.manifest import Manifest


def read_perplexities(path: Path) -> npt.NDArray[np.float64]:
    """The column `perplexity` of one Parquet file, float64[n]; NaN where a row was rejected. Raises DamagedFile."""
    import pyarrow.parquet as pq

    try:
        column = pq.read_table(path, columns=["perplexity"]).column(0)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} can't be read ({reason}): make it again (--rebuild)") from None
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def all_perplexities(scores: Path, content: Manifest) -> npt.NDArray[np.float64]:
    """float64[n], ascending: the perplexity of every scored row, so the same however the input was partitioned."""
    names = [r.path for r in content.files if r.path.endswith(".parquet")]
    column = np.concatenate([np.empty(0), *(read_perplexities(scores / name) for name in names)])
    return np.sort(column[~np.isnan(column)])
