"""A file of documents, read in both ways that there are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard

from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch, read_batches, read_texts

Compress = Callable[[bytes], bytes]
COMPRESSIONS: list[tuple[str, Compress]] = [
    ("", lambda data: data),
    (".gz", gzip.compress),
    (".zst", zstandard.ZstdCompressor().compress),
]


def read(path: Path, columns: tuple[str, ...] = (), batch_bytes: int = 4 << 20) -> DocumentBatch:
    """All rows of a file as one batch; read as texts alone, they are the same."""
    (item,) = work_items([str(path)])
    found = list(read_batches(item, columns=columns, batch_bytes=batch_bytes))
    texts = list(read_texts(item, batch_bytes=batch_bytes))
    assert [t for b in texts for t in b.texts.strings] == [t for b in found for t in b.texts]
    assert [b.rows.tolist() for b in texts] == [b.rows.tolist() for b in found]
    assert [r for b in texts for r in b.rejected] == [r for b in found for r in b.rejected]
    assert [(b.total, b.damage) for b in texts] == [(b.total, b.damage) for b in found]
    assert columns or [b.bytes_read for b in texts] == [b.bytes_read for b in found]
    return DocumentBatch(
        rows=np.concatenate([np.empty(0, np.int32), *(b.rows for b in found)]),
        texts=[t for b in found for t in b.texts],
        urls=[u for b in found for u in b.urls],
        timestamps=[t for b in found for t in b.timestamps],
        extra={c: [v for b in found for v in b.extra[c]] for c in columns},
        rejected=[r for b in found for r in b.rejected],
        bytes_read=sum(b.bytes_read for b in found),
        damage=next((b.damage for b in found if b.damage), None),
    )
