"""Reads a part of some inputs: what a plan knows of documents that nobody has read yet."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.documents.sources import Inputs
from corpora.errors import TamizError
from tamiz.stages.common import EXPANDED

ITEMS = 4  # that are looked into, spread evenly over all
WHOLE = 4  # an item is read to its end if it has at most so many times the text that is wanted of it
_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}

ITEM_BYTES = 64 << 20  # of the stages
ALL = 1 << 60  # bytes of text: more than there are
Row = tuple[str, str | None, str | None]  # text, url, timestamp


@dataclass(frozen=True)
class Amounts:
    """How much there is to read. text: bytes of documents' texts; stored: bytes as stored; item: text of an item."""

    documents: float
    text: float
    files: int
    items: int
    stored: float
    item: float


@dataclass(frozen=True)
class Look:
    """What a part of the inputs shows.

    rows        the documents that were read, by the name of their item
    density     bytes of text in a stored byte
    exact       whether items were read to their ends, so that `density` is counted and not concluded
    rate        seconds of processor time to read a byte of text
    """

    items: Sequence[WorkItem]
    rows: Mapping[str, list[Row]]
    density: float
    exact: bool
    rate: float

    @property
    def mean(self) -> float:
        """Bytes of text of a document."""
        lengths = [len(row[0].encode()) for rows in self.rows.values() for row in rows]
        return sum(lengths) / len(lengths)

    def amounts(self, share: float = 1.0) -> Amounts:
        """Of all items, or of the part of their documents that is used."""
        sizes = {item.path: item.size or 0 for item in self.items}
        text = sum(sizes.values()) * self.density
        largest = max((item.end - item.start if _is_plain(item) else item.size or 0) for item in self.items)
        return Amounts(
            documents=share * text / self.mean,
            text=share * text,
            files=len(sizes),
            items=len(self.items),
            stored=sum(sizes.values()),
            item=share * largest * self.density,
        )


def _is_plain(item: WorkItem) -> bool:
    """Whether the item's range is in bytes."""
    return not item.compression and item.format != "parquet"


@dataclass
class _Read:
    rows: list[Row]
    text: int
    unpacked: int
    seconds: float
    whole: bool


def listed(inputs: Inputs) -> list[WorkItem]:
    """The items of some inputs, as stages make them. Raises BadArgument, TamizError."""
    return work_items(inputs, ITEM_BYTES)


def look(items: Sequence[WorkItem], wanted: int) -> Look:
    """Reads about `wanted` bytes of text of a few items. Raises TamizError if they hold no document."""
    few = [items[place * len(items) // ITEMS] for place in range(ITEMS)] if len(items) > ITEMS else list(items)
    read = [(item, _read(item, wanted // len(few))) for item in few]
    text, seconds = sum(each.text for _, each in read), sum(each.seconds for _, each in read)
    if not text:
        raise TamizError(f"{items[0].path} and {len(few) - 1} more files have no document to plan with")
    whole = [(item, each) for item, each in read if each.whole and item.size]
    density = (
        sum(each.text for _, each in whole) / sum(_stored(item) for item, _ in whole)
        if whole
        else sum(_density(item, each) for item, each in read) / len(read)
    )
    rows = {item.name: each.rows for item, each in read}
    return Look(items, rows, density, bool(whole), seconds / text)


def _stored(item: WorkItem) -> float:
    return item.end - item.start if _is_plain(item) else float(item.size or 0)


def _read(item: WorkItem, wanted: int) -> _Read:
    """The item's first documents; the rest is counted, if there isn't much of it."""
    rows: list[Row] = []
    text = unpacked = kept = 0
    most, begun = WHOLE * wanted, time.thread_time()
    for batch in read_batches(item.at_a_glance()):
        lengths = [len(one.encode()) for one in batch.texts]
        unpacked += batch.bytes_read
        for row, length in zip(zip(batch.texts, batch.urls, batch.timestamps, strict=True), lengths, strict=True):
            text += length
            if kept < wanted:
                rows.append(row)
                kept += length
        if text >= most and (item.size or 0) > most:
            return _Read(rows, text, unpacked, time.thread_time() - begun, False)
    return _Read(rows, text, unpacked, time.thread_time() - begun, True)


def _density(item: WorkItem, read: _Read) -> float:
    """Of an item that wasn't read to its end: packed as it is, the documents that were read tell."""
    if item.compression not in _COMPRESS:
        return read.text / read.unpacked if _is_plain(item) and read.unpacked else EXPANDED
    data = lines(read.rows)
    text = sum(len(row[0].encode()) for row in read.rows)
    packed = len(_COMPRESS[item.compression](data)) * (read.unpacked * text / read.text) / len(data)
    return text / packed


def lines(rows: Sequence[Row]) -> bytes:
    """The rows as JSON lines."""
    names = ("text", "url", "timestamp")
    objects = ({k: v for k, v in zip(names, row, strict=True) if v is not None} for row in rows)
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects).encode("utf-8", "surrogatepass")


def write_part(rows: Mapping[str, list[Row]], folder: Path, size: float) -> int:
    """Writes a file for each item, together about `size` bytes of text; returns how many documents they hold."""
    folder.mkdir(parents=True)
    documents = 0
    for name, given in rows.items():
        taken, length = 0, 0
        while taken < len(given) and (length < size / len(rows) or not taken):
            length += len(given[taken][0].encode())
            taken += 1
        (folder / f"{name}.jsonl").write_bytes(lines(given[:taken]))
        documents += taken
    return documents
