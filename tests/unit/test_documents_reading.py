"""Bad rows, odd rows and big rows, on every format where they can occur."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpora.documents.formats.json_texts import plain_texts
from corpora.documents.items import work_items
from corpora.documents.reading import DocumentBatch, read_batches, read_texts
from corpora.documents.sources import DocumentSource

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


BAD_JSON = [
    (b"not json", "not JSON: Expecting value at character 0"),
    (b'{"text":"a"', "not JSON: Expecting ',' delimiter at character 11"),
    (b'{"text":"a"} {"text":"b"}', "not JSON: Extra data at character 13"),
    (b'{"text":"a\tb"}', "not JSON: Invalid control character at at character 10"),
    (b'{"text":"a","x":NaN}', "not JSON: NaN is not JSON"),
    (b"[" * 100_000, "not JSON: nested too deeply"),
    (b'["text"]', "not an object: array"),
    (b'"text"', "not an object: string"),
    (b"3", "not an object: number"),
    (b"true", "not an object: boolean"),
    (b"null", "not an object: null"),
    (b"{}", "text missing: it has no keys"),
    (b'{"Text":"a"}', "text missing: its keys are Text"),
    (b'{"a":{"b":1,"c":{}},"\xff":[]}', "text missing: its keys are a, ?"),
    (b'{"u":1,"a":{"body":1}}', "text missing: its keys are a.body, u, a"),
    (b'{"text":null}', "text null"),
    (b'{"text":7}', "text not a string: number"),
    (b'{"text":7.5}', "text not a string: number"),
    (b'{"text":false}', "text not a string: boolean"),
    (b'{"text":["a"]}', "text not a string: array"),
    (b'{"text":{"a":1}}', "text not a string: object"),
    (b'{"text":""}', "text empty"),
    (b'{"text":"a\xffb"}', "invalid UTF-8: in text"),
    (b'{"text":"a\xed\xa0\x80b"}', "invalid UTF-8: in text"),
    (b'{"text":"a\xc3', "not JSON: Unterminated string starting at at character 8"),
    (b'{"text":"a","url":"\xff"}', "invalid UTF-8: in url"),
    (b'{"text":"\\ud800"}', "lone surrogate: in text"),
    (b'{"text":"a\\ud83db"}', "lone surrogate: in text"),
    (b'{"text":"\\udc80\\ud800"}', "lone surrogate: in text"),
    (b'{"text":"a","timestamp":"\\udfff"}', "lone surrogate: in timestamp"),
    (b"", "blank line"),
    (b" \t\r", "blank line"),
]


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
def test_bad_json_lines(tmp_path: Path, suffix: str, compress: Compress) -> None:
    """Each between two good lines; the good ones are all kept, at their rows."""
    good = b'{"text":"bueno","url":"u","timestamp":"t"}\n'
    path = tmp_path / f"x.jsonl{suffix}"
    path.write_bytes(compress(good + b"".join(line + b"\n" + good for line, _ in BAD_JSON)))
    found = read(path)
    assert found.damage is None
    assert [(r.row, r.reason) for r in found.rejected] == [
        (2 * n + 1, reason) for n, (_, reason) in enumerate(BAD_JSON)
    ]
    assert [r.first_bytes for r in found.rejected] == [line[:64] for line, _ in BAD_JSON]
    assert {r.file for r in found.rejected} == {str(path)}
    assert [r.row for r in found.rejected if r.blank] == [2 * len(BAD_JSON) - 3, 2 * len(BAD_JSON) - 1]
    assert found.rows.dtype == np.int32
    assert found.rows.tolist() == list(range(0, 2 * len(BAD_JSON) + 1, 2))
    assert set(found.texts) == {"bueno"}
    assert (set(found.urls), set(found.timestamps)) == ({"u"}, {"t"})


@pytest.mark.parametrize(("line", "reason"), BAD_JSON)
def test_one_bad_line_alone(tmp_path: Path, line: bytes, reason: str) -> None:
    """The reason doesn't depend on the neighbours, nor on a newline at the end."""
    for end in (b"\n", b"") if line else (b"\n",):
        (tmp_path / "x.jsonl").write_bytes(line + end)
        found = read(tmp_path / "x.jsonl")
        assert (found.texts, [r.reason for r in found.rejected]) == ([], [reason])


@pytest.mark.parametrize("between", [b"\n\n", b"\n \n", b"\n\r\n"])
def test_two_objects_on_a_line_and_a_blank_line_do_not_cancel_out(tmp_path: Path, between: bytes) -> None:
    """Three values on three lines, but not one on each."""
    (tmp_path / "x.jsonl").write_bytes(b'{"text":"a"}{"text":"b"}' + between + b'{"text":"c"}\n')
    found = read(tmp_path / "x.jsonl")
    assert (found.texts, found.rows.tolist()) == (["c"], [2])
    assert [r.kind for r in found.rejected] == ["not JSON", "blank line"]


def test_an_object_over_two_lines_is_two_bad_lines(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"text":"a","x":{}\n}{"text":"b"}\n')
    assert [r.kind for r in read(tmp_path / "x.jsonl").rejected] == ["not JSON", "not JSON"]


KEPT_JSON: list[tuple[bytes, tuple[str | None, ...]]] = [
    (b'{"text":"a"}', ("a", None, None)),
    (b' {"text" : "a"}\t\r', ("a", None, None)),
    (b'{"text":" "}', (" ", None, None)),
    (b'{"text":"a\\u0000b"}', ("a\0b", None, None)),
    (b'{"text":"\\ud83d\\ude00\xc3\xb1"}', ("\U0001f600ñ", None, None)),
    (b'{"text":"a","text":"b"}', ("b", None, None)),
    (b'{"text":null,"text":"b"}', ("b", None, None)),
    (b'{"te\\u0078t":"b"}', ("b", None, None)),
    (b'{"text":"a","url":null,"timestamp":null}', ("a", None, None)),
    (b'{"text":"a","url":"","timestamp":"t"}', ("a", "", "t")),
    (b'{"text":"a","url":7,"timestamp":1.50}', ("a", "7", "1.5")),
    (b'{"text":"a","url":["\xc3\xb1",1],"timestamp":{"x":null}}', ("a", '["ñ", 1]', '{"x": null}')),
    (b'{"text":"a","url":true}', ("a", "true", None)),
    (b'{"text":"a","other":"\\ud800"}', ("a", None, None)),
    (b'{"text":"a","other":"\xff"}', ("a", None, None)),
    (b'{"text":"a","other":' + b"9" * 5000 + b"}", ("a", None, None)),
    (b'{"text":"a","url":3,"other":' + b"9" * 5000 + b"}", ("a", "3", None)),
]


def test_odd_json_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(line for line, _ in KEPT_JSON))
    found = read(path)
    assert found.rejected == []
    assert list(zip(found.texts, found.urls, found.timestamps, strict=True)) == [values for _, values in KEPT_JSON]
    for line, values in KEPT_JSON:  # alone: on the fast path where it can be
        path.write_bytes(line + b"\n")
        found = read(path)
        assert (found.texts[0], found.urls[0], found.timestamps[0]) == values


LONG = "x" * 40
PLAIN = [
    b'{"text":"a"}',
    b'\t{ "x" : -0.5E+3, "text": "a\\n\\u00f1\\ud83d\\ude00\\/" , "y":null, "z":true}\r\n {"w":false,"text":"b"}',
    ('{"url":"\\"","text":"' + LONG + "ñ日\U0001f600" + LONG + '\\""}\n{"text":"' + 3 * LONG + '"}\n').encode(),
]
NOT_PLAIN = [
    *(line for line, _ in BAD_JSON),
    *(line for line, _ in KEPT_JSON if b"\\ud800" in line or b"\xff" in line or line.count(b"text") > 1),
    b'{"text":"a","x":{}}',
    *(
        b'{"text":"a","x":' + number + b"}"
        for number in (b"01", b"1.", b".5", b"1e", b"+1", b"-", b"tru", b"nulll", b"")
    ),
    b'{"text":"a",}',
    b'{"text":"a";"x":1}',
    b'{"text" "a"}',
    b'{,"text":"a"}',
    b'{"text":"a"}}',
    b'{"text":"a\\x"}',
    b'{"text":"a\\u12g4"}',
    b'{"text":"a\\ud83d\\u0041"}',
    b'{"text":"a\\',
    *(b'{"text":"a%cb%s"}' % (control, rest) for control in range(32) for rest in (b"", b"x" * 80)),
]


def test_what_is_plain_is_read_without_objects() -> None:
    for block in PLAIN:
        found = plain_texts(block)
        assert found is not None
        assert found.strings == [json.loads(line)["text"] for line in block.splitlines()]
    for line in NOT_PLAIN:
        assert plain_texts(line) is None, line
        assert plain_texts(PLAIN[0] + b"\n" + line + b"\n" + PLAIN[0]) is None, line


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_json_array_is_rejected_line_by_line(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(b'[{"text":"a"}, {"text":"b"}]')
    found = read(tmp_path / f"x{suffix}")
    assert [r.reason for r in found.rejected] == ["not an object: array"]


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


def test_extra_columns_of_json(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "meta-lang": "es"},
        {"text": "b"},
        {"text": "c", "meta-lang": 4, "url": "u"},
        {"text": "d"},
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    found = read(tmp_path / "x.jsonl", columns=("meta-lang", "url", "text"))
    assert found.extra == {"meta-lang": ["es", None, "4", None], "url": found.urls, "text": found.texts}
    assert found.urls == [None, None, "u", None]


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
