"""However a file is cut into items, its documents, rows and rejected rows are those of the file read as a whole."""

from __future__ import annotations

import random
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.row_numbers import count_lines, numbered, uncounted
from corpora.documents.sources import DocumentSource

Row = tuple[int, str, bytes]  # row, text or reason of rejection, url or first bytes

PIECES = [
    b"a",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\n\r\n",
    b'{"text":"',
    b'"}\n',
    b"7\t",
    b"\xef\xbb\xbf",
    "ñ日".encode(),
    b"\xff",
]
data = st.lists(st.sampled_from(PIECES) | st.just(b"some words in a line"), max_size=30).map(b"".join)
seldom = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def bgzf_member(part: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = packer.compress(part) + packer.flush()
    head = b"\x1f\x8b\x08\x04" + bytes(6) + b"\x06\x00BC\x02\x00" + struct.pack("<H", len(body) + 25)
    return head + body + struct.pack("<II", zlib.crc32(part), len(part))


def zstd_frame(part: bytes, number: int) -> bytes:
    """Frames of several kinds, some with a skippable frame before them."""
    options = {"write_checksum": number % 2 == 0, "write_content_size": number % 3 != 0}
    before = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" if number % 4 == 1 else b""
    return before + zstandard.ZstdCompressor(**options).compress(part)  # type: ignore[arg-type]


def seek_table(frames: list[bytes]) -> bytes:
    entries = b"".join(struct.pack("<II", len(frame), 0) for frame in frames)
    footer = struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)
    return b"\x5e\x2a\x4d\x18" + struct.pack("<I", len(entries) + len(footer)) + entries + footer


def rows(items: list[WorkItem]) -> list[Row]:
    found: list[Row] = []
    for item in items:
        for batch in read_batches(item, batch_bytes=40):
            urls = [str(url).encode() for url in batch.urls]
            kept: list[Row] = list(zip(map(int, batch.rows), batch.texts, urls, strict=True))
            found += sorted([*kept, *((r.row, r.reason, r.first_bytes) for r in batch.rejected)])
    return found


def damaged(items: list[WorkItem]) -> bool:
    return any(batch.damage for item in items for batch in read_batches(item))


def counted(items: list[WorkItem]) -> list[WorkItem]:
    """As a stage counts rows before its first pass."""
    return numbered(items, {item.number: count_lines(item) for item in uncounted(items)})


def cut(path: str, item_bytes: int, blank_lines: bool) -> list[WorkItem]:
    return work_items([DocumentSource(input=path, blank_lines=blank_lines)], item_bytes)


def check(path: str, item_bytes: int, blank_lines: bool = False, piece: int = 7) -> list[WorkItem]:
    (whole,) = cut(path, 1 << 30, blank_lines)
    items = cut(path, item_bytes, blank_lines)
    with mock.patch("corpora.documents.streams.PIECE", piece):
        expected = rows([whole])
        assert rows(counted(items)) == expected
        assert rows(random.Random(0).sample(items, len(items))) == [  # uncounted, in any order
            row for item in random.Random(0).sample(counted(items), len(items)) for row in rows([item])
        ]
        texts = [text for item in items for batch in read_texts(item) for text in batch.texts.strings]
        assert texts == [text for batch in read_texts(whole) for text in batch.texts.strings]
        assert damaged(items) == damaged([whole])
    return items


def frames_of(content: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(min(place, len(content)) for place in cuts), len(content)]
    return [content[start:end] for start, end in pairwise(borders)]


@pytest.mark.parametrize(
    ("name", "blank_lines"), [("x.jsonl", False), ("x.tsv", False), ("x.txt", False), ("x.txt", True)]
)
@seldom
@given(data, st.lists(st.integers(0, 200), max_size=6), st.integers(1, 60), st.integers(0, 2))
def test_cut_anywhere_it_is_the_same(
    tmp_path: Path, name: str, blank_lines: bool, content: bytes, cuts: list[int], item_bytes: int, cut_off: int
) -> None:
    """Frames end inside lines and characters; some files lack the end of their last frame."""
    parts = frames_of(content, cuts)
    frames = [zstd_frame(part, number) for number, part in enumerate(parts)]
    stem, _, extension = name.partition(".")
    files = {
        name: content,
        f"{name}.gz": b"".join(map(bgzf_member, parts)),
        f"{name}.zst": b"".join(frames)[: -cut_off or None],
        f"{stem}-seekable.{extension}.zst": b"".join(frames) + seek_table(frames),
    }
    for file, stored in files.items():
        (tmp_path / file).write_bytes(stored)
        check(str(tmp_path / file), item_bytes, blank_lines)
