"""Corpora as they are published: each shape in a small file, read whole, in items, and compressed in every way."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpora.documents.batches import DocumentBatch
from corpora.documents.groups import language_of_value, source_of
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument
from tests.warc import warc_record

Compress = Callable[[bytes], bytes]
COMPRESSIONS: dict[str, Compress] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
TEXTS = [
    "El río baja crecido.\nNadie cruza el puente.",
    "Una sola línea",
    'Trae "pan", sal;\ny vino',
    "Fin\n\nde veras",
]
URLS = [f"https://ejemplo.es/{n}" for n in range(4)]
DATES = [f"2023-02-0{n + 1}T10:00:00Z" for n in range(4)]
LABELS = ["es", "gl", "es", "ca"]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def objects(shape: Callable[[str, str, str, str], dict[str, Any]]) -> bytes:
    return jsonl([shape(*values) for values in zip(TEXTS, URLS, DATES, LABELS, strict=True)])


def oscar(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    headers = {"warc-refers-to": "<urn:uuid:1>", "warc-date": date, "warc-target-uri": url, "content-length": 25}
    identified = {"label": label, "prob": 0.9}
    return {"content": text, "warc_headers": headers, "metadata": {"identification": identified, "annotation": None}}


def ccnet(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    return {"url": url, "date_download": date, "length": len(text), "raw_content": text, "language": label}


def hplt(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    langs = [label, "por_Latn"]
    return {"f": "./a.warc.gz", "o": 12, "u": url, "ts": date, "lang": langs, "prob": [0.9, 0.1], "text": text}


def fineweb(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    return {
        "text": text,
        "id": "<urn:uuid:1>",
        "url": url,
        "date": date,
        "language": label,
        "language_script": "Latn",
    }


def redpajama(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    return {"text": text, "meta": {"url": url, "timestamp": date, "language": label}}


def nested(text: str, url: str, date: str, label: str) -> dict[str, Any]:
    return {"id": 1, "metadata": {"text": text, "url": url, "timestamp": date, "lang": label}}


JSON_SHAPES: dict[str, tuple[Any, str, str | None]] = {
    "oscar": (oscar, "content", "metadata.identification.label"),
    "ccnet": (ccnet, "raw_content", "language"),
    "hplt": (hplt, "text", "lang"),
    "fineweb": (fineweb, "text", "language"),
    "redpajama": (redpajama, "text", "meta.language"),
    "nested": (nested, "metadata.text", "metadata.lang"),
}


def read(path: Path | str, item_bytes: int = 1 << 27, **reading: Any) -> list[DocumentBatch]:
    """Every row; read as texts alone, the texts and rejected rows are the same."""
    columns = reading.pop("columns", ())
    items = work_items([DocumentSource(input=str(path), **reading)], item_bytes)
    found = [batch for item in items for batch in read_batches(item, columns=columns)]
    texts = [batch for item in items for batch in read_texts(item)]
    assert [t for b in texts for t in b.texts.strings] == texts_of(found)
    assert [r for b in texts for r in b.rejected] == [r for b in found for r in b.rejected]
    return found


def texts_of(found: list[DocumentBatch]) -> list[str]:
    return [text for batch in found for text in batch.texts]


@pytest.mark.parametrize("name", JSON_SHAPES)
@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_json_lines(tmp_path: Path, name: str, ending: str) -> None:
    shape, text_column, language_column = JSON_SHAPES[name]
    kinds = [".jsonl", ".json", ".ndjson"]
    for kind in kinds:
        path = tmp_path / f"x{kind}{ending}"
        path.write_bytes(COMPRESSIONS[ending](objects(shape)))
        for item_bytes in (1, 1 << 27):
            found = read(path, item_bytes, text_column=text_column, columns=(language_column,))
            assert texts_of(found) == TEXTS
            assert [url for b in found for url in b.urls] == URLS
            assert [timestamp for b in found for timestamp in b.timestamps] == DATES
            languages = [language_of_value(value) for b in found for value in b.extra[language_column or ""]]
            assert languages == LABELS
            assert [r for b in found for r in b.rejected] == []


@pytest.mark.parametrize("name", JSON_SHAPES)
def test_the_same_in_parquet(tmp_path: Path, name: str) -> None:
    shape, text_column, language_column = JSON_SHAPES[name]
    rows = [shape(*values) for values in zip(TEXTS, URLS, DATES, LABELS, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet", row_group_size=1)
    for item_bytes in (1, 1 << 27):
        found = read(tmp_path / "x.parquet", item_bytes, text_column=text_column, columns=(language_column,))
        assert texts_of(found) == TEXTS
        assert [url for b in found for url in b.urls] == URLS
        assert [timestamp for b in found for timestamp in b.timestamps] == DATES
        languages = [language_of_value(value) for b in found for value in b.extra[language_column or ""]]
        assert languages == LABELS


def test_a_name_with_dots_comes_before_the_path(tmp_path: Path) -> None:
    rows = [
        {"a.text": "uno", "a": {"text": "no"}},
        {"a": {"text": "dos", "x": 1}},
        {"a.text": None, "a": {"text": "no"}},
        {"a": {"text": 3}},
        {"a": "no", "b": 1},
        {"a": {"text": ""}},
    ]
    (tmp_path / "x.jsonl").write_bytes(jsonl(rows))
    found = read(tmp_path / "x.jsonl", text_column="a.text")
    assert texts_of(found) == ["uno", "dos"]
    reasons = ["a.text null", "a.text not a string: number", "a.text missing: its keys are a, b", "a.text empty"]
    assert [r.reason for b in found for r in b.rejected] == reasons
    pq.write_table(pa.table({"a": [{"text": "no"}], "a.text": ["uno"]}), tmp_path / "x.parquet")
    assert texts_of(read(tmp_path / "x.parquet", text_column="a.text")) == ["uno"]
    pq.write_table(pa.table({"a": [{"text": "uno"}, None, {"text": None}]}), tmp_path / "y.parquet")
    found = read(tmp_path / "y.parquet", text_column="a.text")
    assert (texts_of(found), [r.reason for b in found for r in b.rejected]) == (["uno"], ["a.text null"] * 2)


def test_a_value_inside_the_text(tmp_path: Path) -> None:
    """The text is a string; in a row where it is an object, another column may be in it."""
    (tmp_path / "x.jsonl").write_bytes(jsonl([{"a": {"b": {"c": "no"}}}, {"a": {"b": "uno"}}]))
    (item,) = work_items([DocumentSource(input=str(tmp_path / "x.jsonl"), text_column="a.b", url_column="a.b.c")])
    (found,) = read_batches(item)
    assert (found.texts, [r.reason for r in found.rejected]) == (["uno"], ["a.b not a string: object"])


def test_columns_are_named_by_hand(tmp_path: Path) -> None:
    """A named column has a value of any type; a likely one only counts if it holds a string."""
    rows = [{"text": "uno", "u": 7, "date": 3, "metadata": "m", "link": "a"}, {"text": "dos", "link": 5, "d": None}]
    (tmp_path / "x.jsonl").write_bytes(jsonl(rows))
    pq.write_table(
        pa.Table.from_pylist([{"text": "uno", "link": "a", "d": "x", "url": "no"}]), tmp_path / "y.parquet"
    )
    (usual,) = read(tmp_path / "x.jsonl")
    assert (usual.urls, usual.timestamps) == ([None, None], [None, None])
    (named,) = read(tmp_path / "x.jsonl", url_column="link", timestamp_column="d")
    assert (named.urls, named.timestamps) == (["a", "5"], [None, None])
    (named,) = read(tmp_path / "y.parquet", url_column="link", timestamp_column="d")
    assert (named.urls, named.timestamps) == (["a"], ["x"])
    (tmp_path / "x.txt").write_text("uno\n")
    with pytest.raises(BadArgument, match=r"has no column link; a txt file has only text"):
        read(tmp_path / "x.txt", url_column="link")


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_cc100(tmp_path: Path, ending: str) -> None:
    """A blank line ends a document, also the last one."""
    texts = [text.replace("\n\n", "\n") for text in TEXTS]
    path = tmp_path / f"es.txt{ending}"
    path.write_bytes(COMPRESSIONS[ending]("".join(f"{text}\n\n" for text in texts).encode()))
    for item_bytes in (1, 1 << 27):
        assert texts_of(read(path, item_bytes, blank_lines=True)) == texts


def test_wikiextractor(tmp_path: Path) -> None:
    rows = [
        {"id": n, "url": url, "title": "T", "text": text}
        for n, (url, text) in enumerate(zip(URLS, TEXTS, strict=True))
    ]
    folder = tmp_path / "extracted" / "AA"
    folder.mkdir(parents=True)
    (folder / "wiki_00").write_bytes(jsonl(rows[:2]))
    (folder / "wiki_01.bz2").write_bytes(bz2.compress(jsonl(rows[2:])))
    found = read(f"{tmp_path}/extracted/*/wiki_*", 1, format="jsonl")
    assert texts_of(found) == TEXTS
    assert [url for b in found for url in b.urls] == URLS


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_leipzig(tmp_path: Path, ending: str) -> None:
    sentences = ["El tren sale a las ocho.", "Llueve\tmucho.", "¿Y tú?"]
    data = "".join(f"{n}\t{sentence}\n" for n, sentence in enumerate(sentences, 1)).encode()
    path = tmp_path / f"spa_news_2020_10K-sentences.txt{ending}"
    path.write_bytes(COMPRESSIONS[ending](data))
    for item_bytes in (1, 1 << 27):
        found = read(path, item_bytes)
        assert texts_of(found) == sentences
        assert [url for b in found for url in b.urls] == ["leipzig:1", "leipzig:2", "leipzig:3"]
    assert source_of(path.name) == "spa_news"
    (tmp_path / "my-sentences.txt").write_text("Una frase\n")
    assert texts_of(read(tmp_path / "my-sentences.txt")) == ["Una frase"]


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_csv(tmp_path: Path, ending: str) -> None:
    """Line breaks, commas and quotes in quoted fields; a byte order mark; lines that end with CR LF."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["id", "text", "url", "date", "lang"])
    rows.writerows([[n, *values] for n, values in enumerate(zip(TEXTS, URLS, DATES, LABELS, strict=True))])
    path = tmp_path / f"x.csv{ending}"
    path.write_bytes(COMPRESSIONS[ending](b"\xef\xbb\xbf" + out.getvalue().encode()))
    for item_bytes in (1, 1 << 27):
        (found,) = read(path, item_bytes, columns=("lang", "none"))
        assert (found.texts, found.urls, found.timestamps, found.rows.tolist()) == (TEXTS, URLS, DATES, [0, 1, 2, 3])
        assert found.extra == {"lang": LABELS, "none": [None] * 4}


def test_bad_rows_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b'body,n\nuno,1\n,2\n\n"d\xff",3\n"a\rb",4\nx"y,5\nSi, claro,6\nsiete,7,,\n"sin fin\nni coma,6\n'
    )
    (found,) = read(path, text_column="body")
    assert found.texts == ["uno", "a\rb", 'x"y', "siete", "sin fin\nni coma,6\n"]
    assert [(r.row, r.reason) for r in found.rejected] == [
        (1, "body empty"),
        (2, "blank line"),
        (3, "invalid UTF-8: in body"),
        (6, "not CSV: 3 values, but the header has 2"),
    ]
    with pytest.raises(BadArgument, match=r"has no column text; its first line has body, n: .*--text-column"):
        read(path)
    (tmp_path / "empty.csv").write_bytes(b"")
    assert read(tmp_path / "empty.csv") == []
    path.write_bytes(gzip.compress(b"text\nuno\ndos\n")[:-4])
    path.rename(tmp_path / "x.csv.gz")
    found, end = read(tmp_path / "x.csv.gz")
    assert found.texts == ["uno", "dos"]
    assert "truncated gzip" in str(end.damage)


def wet() -> list[bytes]:
    records = [warc_record("warcinfo", b"Software-Info: x\r\nhostname: y\r\n")]
    for text, url, date, label in zip(TEXTS, URLS, DATES, LABELS, strict=True):
        records.append(
            warc_record(
                "conversion", text.encode() + b"\n", WARC_Target_URI=url, WARC_Date=date,
                WARC_Identified_Content_Language=f"{label},eng",
            )
        )  # fmt: skip
    return records


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_common_crawls_texts(tmp_path: Path, ending: str) -> None:
    """Compressed as published: a member for each record."""
    column = "WARC-Identified-Content-Language"
    path = tmp_path / f"CC-MAIN-00001.warc.wet{ending}"
    path.write_bytes(b"".join(COMPRESSIONS[ending](record) for record in wet()))
    (found,) = read(path, 1, columns=(column, "url"))
    assert (found.texts, found.urls, found.timestamps, found.rows.tolist()) == (TEXTS, URLS, DATES, [0, 1, 2, 3])
    assert [language_of_value(value) for value in found.extra[column]] == LABELS
    assert found.extra["url"] == URLS


def test_damaged_texts_of_common_crawl(tmp_path: Path) -> None:
    whole = b"".join(wet())
    path = tmp_path / "x.warc.wet"
    for data, number, told in (
        (whole[:-20], 3, "truncated WARC"),
        (whole + b"rubbish\r\n", 4, "no record begins"),
        (whole + b"WARC/1.0\r\nContent-Length: x\r\n\r\n", 4, "has no Content-Length"),
        (whole + b"WARC/1.0\r\nX: " + b"y" * (2 << 20), 4, "a header of more than"),
    ):
        path.write_bytes(data)
        *found, end = read(path)
        assert (texts_of(found), told in str(end.damage)) == (TEXTS[:number], True), (told, end.damage)
    path.write_bytes(
        warc_record("conversion", b"\xff") + warc_record("conversion", b"") + warc_record("conversion", b"uno")
    )
    (found,) = read(path)
    assert (found.texts, found.urls) == (["uno"], [None])
    assert [r.reason for r in found.rejected] == ["invalid UTF-8: byte 0 of the record", "text empty"]


def test_languages_of_lists() -> None:
    assert [*map(language_of_value, ['["spa_Latn","por_Latn"]', "spa_Latn", "spa,eng", "[]", "", None, "[x"])] == [
        "spa_Latn", "spa_Latn", "spa", None, None, None, "[x",
    ]  # fmt: skip
