"""Which document each id of a causal row belongs to, from the stored positions where documents begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.rows.columns import DOCUMENT_STARTS


def dtype(width: int) -> np.dtype[np.unsignedinteger]:
    """The smallest type that numbers the documents of a row."""
    return np.dtype(np.uint16 if width < 1 << 16 else np.uint32)


def read_documents(path: Path, footer: pq.FileMetaData, group: int, out: npt.NDArray[np.unsignedinteger]) -> None:
    """Fills out [rows, width] with the number of the document of each id, which rises by 1 where a document begins.

    A row that continues a document of the row before begins with 0, otherwise with 1. Padding counts as part of the
    last document. Raises ValueError for positions outside a row.
    """
    with pq.ParquetFile(path, metadata=footer, pre_buffer=False) as opened:
        table = opened.read_row_group(group, columns=[DOCUMENT_STARTS], use_threads=False)
    starts: Any = table.column(DOCUMENT_STARTS).combine_chunks()
    if not pa.types.is_list(starts.type) or len(starts) != len(out) or starts.null_count:
        raise ValueError(f"{DOCUMENT_STARTS} holds {starts.type}, not a list for each of {len(out)} rows")
    places = starts.flatten().to_numpy(zero_copy_only=False)
    if len(places) and not (places.min() >= 0 and places.max() < out.shape[1]):
        raise ValueError(f"{DOCUMENT_STARTS} has {places.min()} and {places.max()}; rows have {out.shape[1]} ids")
    out[:] = 0
    out[np.repeat(np.arange(len(out)), np.diff(starts.offsets.to_numpy())), places] = 1
    np.cumsum(out, axis=1, dtype=out.dtype, out=out)
