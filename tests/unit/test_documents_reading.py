"""Bad rows, odd rows and big rows, on every format where they can occur."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.sources import DocumentSource
from tests.read_documents import COMPRESSIONS, Compress, read


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
@pytest.mark.parametrize("kind", [".jsonl", ".txt"])
def test_byte_order_mark_and_crlf(tmp_path: Path, kind: str, suffix: str, compress: Compress) -> None:
    lines = [b'{"text":"a"}', b'{"text":"b"}'] if kind == ".jsonl" else [b"a", b"b"]
    path = tmp_path / f"x{kind}{suffix}"
    path.write_bytes(compress(b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n"))
    found = read(path)
    assert (found.texts, found.rejected, found.rows.tolist()) == (["a", "b"], [], [0, 1])


def test_only_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf")
    assert read(tmp_path / "x.txt").total == 0


JOINED = [
    ("x.txt", ["{}"], ["uno", "d\ufeffos", "\ufefftres", "cuatro"]),
    ("x.tsv", ["1\t{}"], ["uno", "d\ufeffos", "\ufefftres", "cuatro"]),
    ("x.jsonl", ['{{"text":"{}"}}', '{{"text":"{}","x":[]}}'], ["uno", "d\ufeffos", "\ufefftres", "cuatro"]),
]


@pytest.mark.parametrize(("name", "shapes", "texts"), JOINED)
def test_files_joined_with_their_byte_order_marks(
    tmp_path: Path, name: str, shapes: list[str], texts: list[str]
) -> None:
    """One mark is dropped at the start of any line, also in a gzip's second member; any other is text."""
    for shape in shapes:
        lines = [f"\ufeff{shape.format(text)}\n".encode() for text in texts]
        lines[-1] = shape.format(texts[-1]).encode()
        (tmp_path / name).write_bytes(b"".join(lines))
        (tmp_path / f"{name}.gz").write_bytes(b"".join(map(gzip.compress, lines)))
        expected = texts
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            found = read(path)
            assert (found.texts, found.rejected, found.rows.tolist()) == (expected, [], [0, 1, 2, 3])
        items = work_items([f"{tmp_path}/{name}"], 1)
        assert len(items) == 4
        assert [text for item in items for b in read_batches(item) for text in b.texts] == expected
        assert [text for item in items for b in read_texts(item) for text in b.texts.strings] == expected


def test_byte_order_marks_before_documents_between_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("\ufeffuno\ndos\n\n\ufefftres\n\ufeff\n\ufeff\ufeffcuatro".encode())
    (item,) = work_items([DocumentSource(input=f"{tmp_path}/x.txt", blank_lines=True)])
    assert [text for found in read_batches(item) for text in found.texts] == ["uno\ndos", "tres", "\ufeffcuatro"]


def test_text_lines(tmp_path: Path) -> None:
    lines = ["uno", " ", "nul\0", "\ttab", "línea\u2028sep\x0b\x0c\x1c\x85", "mark\ufeff", "cr\rin", "end"]
    path = tmp_path / "x.txt"
    path.write_bytes("\n".join(lines).encode() + b"\n\n\xff\n\r\n\xed\xa0\x80\nlast")
    found = read(path, columns=("language",))
    assert found.texts == [*lines, "last"]
    assert [(r.row, r.reason) for r in found.rejected] == [
        (8, "blank line"),
        (9, "invalid UTF-8: byte 0 of the line"),
        (10, "blank line"),
        (11, "invalid UTF-8: byte 0 of the line"),
    ]
    assert set(found.urls) == set(found.timestamps) == {None}
    assert found.extra == {"language": [None] * 9}


def test_mmarco_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes("0\tuno\n1\tdos\ttabs\t\r\n2\t\n\n3 sin\n\tsin id\n5\tñ\0".encode() + b"\n6\t\xff\n7\t \n")
    found = read(path, columns=("url", "language"))
    assert found.texts == ["uno", "dos\ttabs\t", "sin id", "ñ\0", " "]
    assert found.urls == ["tsv:0", "tsv:1", "tsv:", "tsv:5", "tsv:7"]
    assert found.extra == {"url": found.urls, "language": [None] * 5}
    assert [(r.row, r.reason) for r in found.rejected] == [
        (2, "text empty"),
        (3, "blank line"),
        (4, "no tab"),
        (7, "invalid UTF-8: byte 2 of the line"),
    ]


def test_clean_mmarco_lines(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes(b"0\tuno\n1\tdos\ttabs\n")
    found = read(tmp_path / "x.tsv", columns=("url", "language"))
    assert (found.texts, found.urls, found.timestamps) == (["uno", "dos\ttabs"], ["tsv:0", "tsv:1"], [None, None])
    assert found.extra == {"url": found.urls, "language": [None, None]}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_rows(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({
        "text": pa.array(["uno", None, "", "ñ\0", " "]).cast(kind),
        "url": ["u", None, "v", "w", "x"],
        "timestamp": pa.array([0, 1, 2, 3, None], pa.timestamp("s")),
        "lang": [["es"], [], [], None, ["pt"]],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet", columns=("lang", "missing"), batch_bytes=1)
    assert found.texts == ["uno", "ñ\0", " "]
    assert found.rows.tolist() == [0, 3, 4]
    assert found.urls == ["u", "w", "x"]
    assert found.timestamps == ["1970-01-01 00:00:00.000", "1970-01-01 00:00:03.000", None]
    assert found.extra == {"lang": ['["es"]', None, '["pt"]'], "missing": [None] * 3}
    assert [(r.row, r.reason, r.first_bytes) for r in found.rejected] == [
        (1, "text null", b""),
        (2, "text empty", b""),
    ]


def test_parquet_strings_that_are_not_utf8(tmp_path: Path) -> None:
    bad = pa.array([b"ok", b"a\xff", b"\xed\xa0\x80", b"fin"]).view(pa.string())
    pq.write_table(pa.table({"text": bad}), tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet")
    assert (found.texts, found.urls, found.timestamps) == (["ok", "fin"], [None] * 2, [None] * 2)
    assert [(r.row, r.reason, r.first_bytes) for r in found.rejected] == [
        (1, "invalid UTF-8: in text", b"a\xff"),
        (2, "invalid UTF-8: in text", b"\xed\xa0\x80"),
    ]


def test_parquet_without_rows_or_row_groups(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet").total == 0
    with pq.ParquetWriter(tmp_path / "y.parquet", pa.schema([("text", pa.string())])):
        pass
    assert read(tmp_path / "y.parquet").total == 0


@pytest.mark.parametrize(("suffix", "compress"), [*COMPRESSIONS, (".parquet", None)])
def test_a_50_mb_document_and_one_of_10_000_lines(tmp_path: Path, suffix: str, compress: Compress | None) -> None:
    texts = ["antes", "ñandú " * 7_500_000, "después", "línea\n" * 10_000]
    assert len(texts[1].encode()) > 50_000_000
    path = tmp_path / f"x.jsonl{suffix}" if compress else tmp_path / "x.parquet"
    if compress:
        path.write_bytes(compress(b"".join(msgspec.json.encode({"text": t}) + b"\n" for t in texts)))
    else:
        pq.write_table(pa.table({"text": texts}), path)
    found = read(path)
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert [hash(t) for t in found.texts] == [hash(t) for t in texts]


def test_a_batch_is_about_batch_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.documents.streams.PIECE", 100)
    path = tmp_path / "x.txt"
    path.write_bytes(b"".join(b"%06d\n" % n for n in range(1000)))
    (item,) = work_items([str(path)])
    found = list(read_batches(item, batch_bytes=500))
    assert len(found) > 10
    assert all(b.bytes_read <= 600 for b in found)
    assert sum(b.bytes_read for b in found) == 7000
    assert [int(r) for b in found for r in b.rows] == list(range(1000))


MEASURE = r"""
import re, sys
from pathlib import Path
from corpora.documents import reading
from corpora.documents.items import work_items
(item,) = work_items([sys.argv[1]])
rows = sum(batch.total for batch in getattr(reading, sys.argv[2])(item))
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]  # ru_maxrss is the parent's too
print(rows, int(peak) >> 10)
"""


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(("reader", "most"), [("read_batches", 150), ("read_texts", 250)])
def test_memory_is_bounded_whatever_the_ratio(tmp_path: Path, suffix: str, reader: str, most: int) -> None:
    """400 MB of text, which compresses a thousandfold, is read in less than 150 MB; by kernels, 250."""
    part = b'{"text":"%s"}\n' % (b"a" * 9_987) * 1000
    path = tmp_path / f"x.jsonl{suffix}"
    compressed = gzip.compress(part, 1) * 40 if suffix == ".gz" else zstandard.compress(part) * 40
    path.write_bytes(compressed)
    command = [sys.executable, "-c", MEASURE, str(path), reader]
    rows, megabytes = map(int, subprocess.check_output(command, text=True).split())
    assert rows == 40_000
    assert megabytes < most


def test_a_real_shard_reads_as_json_does() -> None:
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "es"
    shards = sorted(shared.glob("*.jsonl.zst"))
    if not shards:
        pytest.skip("the shared corpora are not here")
    data = zstandard.ZstdDecompressor().stream_reader(shards[0].read_bytes(), read_across_frames=True).read()
    expected = [json.loads(line) for line in data.splitlines()] if b"\r" not in data else []
    found = read(shards[0], columns=("url",))
    assert found.rejected == []
    assert found.damage is None
    assert len(found.texts) == data.count(b"\n") > 3000
    assert found.bytes_read == len(data)
    assert found.texts == [document["text"] for document in expected]
    assert found.urls == found.extra["url"] == [document["url"] for document in expected]
    assert found.timestamps == [document["timestamp"] for document in expected]
