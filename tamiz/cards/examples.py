"""The example rows of a sample's card: always the same ones, shortened."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.home import Home, Place, source
from corpora.manifest import Manifest
from tamiz.cards.markdown import quoted
from tamiz.excerpts import shown

EXAMPLES = 3
_NUMBERS = ("perplexity", "keep_probability")


def examples(folder: Place, content: Manifest) -> str:
    """The first documents of the sample, each with its figures."""
    parts = [
        Home.of(folder).at(record.path) for record in content.files if record.rows and record.path.startswith("part-")
    ]
    rows = islice(_rows(parts[0]), EXAMPLES) if parts else ()
    return "\n".join(
        f"Perplexity {float(row['perplexity']):,.4g}, keep probability {float(row['keep_probability']):.4g}:\n\n"
        f"{quoted(shown(row['text']))}"
        for row in rows
    )


def _rows(part: str) -> Iterator[dict[str, Any]]:
    """Of one file; only its beginning is read."""
    if part.endswith(".parquet"):
        import pyarrow.parquet as pq

        with pq.ParquetFile(source(part)) as file:
            for batch in file.iter_batches(EXAMPLES, columns=["text", *_NUMBERS]):
                yield from batch.to_pylist()
        return
    for item in work_items([part]):
        for read in read_batches(item, columns=_NUMBERS):
            for n, text in enumerate(read.texts):
                yield {"text": text, **{name: read.extra[name][n] or "nan" for name in _NUMBERS}}
