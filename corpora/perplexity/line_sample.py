"""The lines that a language model's tokenizer is trained on, drawn from parts of a text of unknown size.

Of the whole text, the lines whose draw is below SAMPLE_BYTES / (its bytes) are used: see `lm_tokenizer`. A part
doesn't know that bound, only that it is at most SAMPLE_BYTES / (its own bytes): it keeps the lines below that, in the
order of their draws, so that the few which are used in the end are read without the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.files import atomic_path
from corpora.perplexity.lm_tokenizer import SAMPLE_BYTES, drawn, share_of

_GROUP = 4096  # lines read at once
_MOST_HELD = 2 * SAMPLE_BYTES
_FIELDS: list[pa.Field[Any]] = [
    pa.field("draw", pa.float64()),
    pa.field("place", pa.int64()),
    pa.field("line", pa.binary()),
]
_SCHEMA = pa.schema(_FIELDS)

_Line = tuple[float, int, bytes]  # draw, place among the part's lines, UTF-8


class LineSample:
    """The lines of one part that may be used. Memory: for at most `_MOST_HELD` bytes of lines and a batch."""

    def __init__(self) -> None:
        self.bytes = 0
        """Of all lines that aren't blank, each with its newline."""
        self._lines: list[_Line] = []
        self._held = 0
        self._place = 0

    def add(self, lines: Iterable[str]) -> None:
        for line in lines:
            if not line:
                continue
            data = line.encode()
            self.bytes += len(data) + 1
            self._place += 1
            draw = drawn(line)
            if draw <= share_of(self.bytes):
                self._lines.append((draw, self._place, data))
                self._held += len(data)
        if self._held > _MOST_HELD:
            self._drop()

    def _drop(self) -> None:
        self._lines = [line for line in self._lines if line[0] <= share_of(self.bytes)]
        self._held = sum(len(data) for _, _, data in self._lines)

    def write(self, path: Path) -> None:
        """Writes the lines, those with the smallest draws first."""
        self._drop()
        columns = list(zip(*sorted(self._lines), strict=True)) or [(), (), ()]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, _SCHEMA.types, strict=True)]
        with atomic_path(path) as temporary:
            pq.write_table(pa.table(arrays, schema=_SCHEMA), temporary, compression="zstd", row_group_size=_GROUP)


def used_lines(paths: Sequence[Path], share: float) -> Iterator[str]:
    """The lines of all parts whose draw is below the share, in the order of the text. Memory: those of one part."""
    for path in paths:
        found: list[tuple[int, bytes]] = []
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).to_pydict()
                found += [
                    (place, line)
                    for draw, place, line in zip(rows["draw"], rows["place"], rows["line"], strict=True)
                    if draw < share
                ]
                if rows["draw"][-1] >= share:
                    break
        yield from (line.decode() for _, line in sorted(found))
