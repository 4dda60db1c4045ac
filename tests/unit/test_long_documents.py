"""Rows longer than max_document_bytes are rejected, in every format, without being held whole."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.documents.formats import reading_of
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.sources import DocumentSource
from corpora.documents.streams import LongLine, blocks_of_lines

Row = tuple[int, str]
DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def read(path: Path, bound: int, *, item_bytes: int = 1 << 27, **reading: Any) -> tuple[list[Row], list[Row]]:
    """Documents and rejected rows, each with its row."""
    source = DocumentSource(input=str(path), max_document_bytes=bound, **reading)
    items = work_items([source], item_bytes)
    found = [batch for item in items for batch in read_batches(item)]
    texts = [batch for item in items for batch in read_texts(item)]
    assert [t for b in texts for t in b.texts.strings] == [t for b in found for t in b.texts]
    assert [r for b in texts for r in b.rejected] == [r for b in found for r in b.rejected]
    documents = [(int(row), text) for b in found for row, text in zip(b.rows, b.texts, strict=True)]
    return documents, [(r.row, r.reason) for b in found for r in b.rejected]


def too_long(length: int, bound: int) -> str:
    return f"too long: {length:,} bytes; max_document_bytes is {bound:,}"


@pytest.mark.parametrize("item_bytes", [1, 1 << 27])
def test_lines(tmp_path: Path, item_bytes: int) -> None:
    """As long as allowed is kept; a byte more is rejected; rows keep their numbers."""
    lines = ["a" * 30, "b" * 31, "", "c", "d" * 400, "e" * 30]
    (tmp_path / "x.txt").write_text("\n".join(lines))
    documents, rejected = read(tmp_path / "x.txt", 30, item_bytes=item_bytes)
    assert documents == [(0, "a" * 30), (3, "c"), (5, "e" * 30)]
    assert rejected == [(1, too_long(31, 30)), (2, "blank line"), (4, too_long(400, 30))]
    (tmp_path / "x.jsonl").write_text("".join(f'{{"text":"{line}"}}\n' for line in lines))
    documents, rejected = read(tmp_path / "x.jsonl", 41, item_bytes=item_bytes)
    assert documents == [(0, "a" * 30), (3, "c"), (5, "e" * 30)]
    assert rejected == [(1, too_long(42, 41)), (2, "text empty"), (4, too_long(411, 41))]


def test_documents_between_blank_lines(tmp_path: Path) -> None:
    """The bound is that of the document; one line of it may be longer."""
    documents = [
        "uno\ndos",
        "a" * 10 + "\n" + "b" * 10,
        "c" * 11 + "\n" + "d" * 10,
        "e" * 500,
        "f\n" * 400 + "g",
        "fin",
    ]
    (tmp_path / "x.txt").write_text("\n\n".join(documents))
    for item_bytes in (1, 1 << 27):
        kept, rejected = read(tmp_path / "x.txt", 21, item_bytes=item_bytes, blank_lines=True)
        assert kept == [(0, documents[0]), (3, documents[1]), (413, "fin")]
        assert rejected == [(6, too_long(22, 21)), (9, too_long(500, 21)), (11, too_long(801, 21))]


def test_records_of_csv(tmp_path: Path) -> None:
    """Those of one long line, and those of many lines; the next record is found by the quotes."""
    many = "\n".join(["línea, con coma", 'con ""comillas""'] * 9)
    rows = ["uno,1", f'"{many}",2', "dos,3", "a" * 99 + ",4", '"' + "b\n" * 99 + '",5', '"tres\n",6', '"' + "c" * 99]
    (tmp_path / "x.csv").write_text("text,n\n" + "\n".join(rows) + "\n")
    kept, rejected = read(tmp_path / "x.csv", 60)
    assert kept == [(0, "uno"), (2, "dos"), (5, "tres\n")]
    assert [row for row, _ in rejected] == [1, 3, 4, 6]
    assert {reason.partition(": ")[0] for _, reason in rejected} == {"too long"}


def test_records_of_common_crawl(tmp_path: Path) -> None:
    bodies = ["uno", "a" * 500, "dos"]
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: {}\r\n\r\n{}\r\n\r\n"
    (tmp_path / "x.warc.wet").write_text("".join(head.format(len(body), body) for body in bodies))
    assert read(tmp_path / "x.warc.wet", 100) == ([(0, "uno"), (2, "dos")], [(1, too_long(500, 100))])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), DICTIONARY])
def test_values_of_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["uno", "ñ" * 50, "ñ" * 51, None, "dos"]).cast(kind)
    pq.write_table(pa.table({"text": texts}), tmp_path / "x.parquet")
    kept, rejected = read(tmp_path / "x.parquet", 100)
    assert kept == [(0, "uno"), (1, "ñ" * 50), (4, "dos")]
    assert rejected == [(2, too_long(102, 100)), (3, "text null")]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30)), st.booleans(), st.integers(1, 40), st.integers(1, 50), st.integers(1, 30))
def test_blocks_are_the_lines(lengths: list[int], ended: bool, size: int, longest: int, piece: int) -> None:
    """However the stream is cut into pieces and blocks."""
    lines = [b'"' * (length // 2) + b"x" * (length - length // 2) for length in lengths]
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    expected = data.split(b"\n")[: None if data and not data.endswith(b"\n") else -1]
    found: list[bytes | tuple[bytes, int, int]] = []
    for block in blocks_of_lines((data[at : at + piece] for at in range(0, len(data), piece)), size, longest):
        found += [tuple(block)] if isinstance(block, LongLine) else block.removesuffix(b"\n").split(b"\n")
    long = [(line[:64], len(line), line.count(b'"')) if len(line) > longest else line for line in expected]
    assert found == long


MEASURE = """
import re, sys
from pathlib import Path
from corpora.documents import reading
from corpora.documents.items import work_items
from corpora.documents.sources import DocumentSource
(item,) = work_items([DocumentSource(input=sys.argv[1], max_document_bytes=1 << 22)])
rows = [b.total for b in getattr(reading, sys.argv[2])(item)]
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(sum(rows), int(peak) >> 10)
"""


@pytest.mark.parametrize("reader", ["read_batches", "read_texts"])
def test_a_line_that_is_too_long_is_never_held(tmp_path: Path, reader: str) -> None:
    """400 MB of one line, in 400 kB of gzip, under a bound of 4 MB."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    part = b"\\n" * (1 << 19)
    data = [deflate.compress(b'{"text":"uno"}\n{"text":"'), *(deflate.compress(part) for _ in range(400))]
    data += [deflate.compress(b'"}\n{"text":"dos"}\n'), deflate.flush()]
    (tmp_path / "x.jsonl.gz").write_bytes(b"".join(data))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "x.jsonl.gz"), reader]
    rows, megabytes = map(int, subprocess.check_output(command, text=True).split())
    assert rows == 3
    assert megabytes < 200


def test_the_bound_is_part_of_an_inputs_identity(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(b"uno\n"))
    (usual,) = work_items([str(tmp_path / "x.txt.gz")])
    (other,) = work_items([DocumentSource(input=str(tmp_path / "x.txt.gz"), max_document_bytes=50)])
    assert (reading_of(usual), reading_of(other)) == ({}, {"max_document_bytes": 50})
    assert usual.max_document_bytes >= 50_000_000
    with pytest.raises(ValueError, match="max_document_bytes is 0; it must be at least 1"):
        DocumentSource(input="x", max_document_bytes=0)
