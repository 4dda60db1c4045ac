"""What each format has beside text, timestamp and url arrives in the sample, or is named as left out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.carrying import carrying
from corpora.documents.formats import FORMATS
from corpora.documents.items import work_items
from corpora.documents.reading import read_carrying
from corpora.documents.sources import DocumentSource
from corpora.documents.writing import COLUMNS
from corpora.errors import BadArgument
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.settings import RunnerSettings
from tests.make_scores import write_scores
from tests.warc import warc_record

BOM = b"\xef\xbb\xbf"


def made(file: Path, how: Mapping[str, Any] | None = None, **settings: object) -> tuple[pa.Table, list[dict], dict]:
    """A sample of all documents of a file, as Parquet and as JSON lines, and its facts."""
    sources, folder = [DocumentSource(input=[str(file)], **(how or {}))], file.parent / "out"
    write_scores(folder / "scores", sources, {file.name: [1.0 + row for row in range(50)]}, {})
    for format in ("parquet", "jsonl.gz"):
        chosen = sample_settings(**{"method": "random", "keep": 1.0, "format": format, **settings})
        outcome = sample(sources, folder / "scores", folder / format, chosen, RunnerSettings())
    lines = gzip.decompress((folder / "jsonl.gz" / "part-00000.jsonl.gz").read_bytes()).splitlines()
    table = pq.read_table(folder / "parquet" / "part-00000.parquet")
    return table, [json.loads(line) for line in lines], outcome.manifest.facts.get("columns", {})


def others(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in COLUMNS} for row in rows]


WET = warc_record("warcinfo", b"x") + warc_record(
    "conversion", b"uno\n", WARC_Record_ID="<urn:1>", WARC_Identified_Content_Language="spa"
)
LEFT_OUT = ["WARC-Identified-Content-Language", "WARC-Record-ID", "WARC-Refers-To", "WARC-Block-Digest"]

# format -> (file, content, columns in the sample, in JSON lines, columns left out)
EACH: dict[str, tuple[str, bytes, dict, dict, list[str]]] = {
    "jsonl": ("a.jsonl", b'{"text": "uno", "id": 3}\n', {"metadata": '{"id":3}'}, {"id": 3}, []),
    "csv": ("a.csv", b"id,text,lang\n3,uno,es\n", {"id": "3", "lang": "es"}, {"id": "3", "lang": "es"}, []),
    "tsv": ("a.tsv", b"3\tuno\n", {}, {}, []),
    "leipzig": ("spa_10K-sentences.txt", b"3\tuno\n", {}, {}, []),
    "txt": ("a.txt", b"uno\n", {}, {}, []),
    "wet": ("a.warc.wet", WET, {}, {}, LEFT_OUT),
    "parquet": ("a.parquet", b"", {"id": 3}, {"id": 3}, []),
}


@pytest.mark.parametrize("name", FORMATS.names())
def test_the_other_columns_of_each_format(name, tmp_path):
    file, content, in_table, in_lines, left_out = EACH[name]
    (tmp_path / file).write_bytes(content)
    if name == "parquet":
        pq.write_table(pa.table({"text": ["uno"], "id": [3]}), tmp_path / file)
    table, lines, facts = made(tmp_path / file)
    assert others(table.to_pylist()) == [in_table]
    assert others(lines) == [in_lines]
    assert table.column_names == [*COLUMNS, *in_table]
    assert facts.get("left_out", []) == left_out


def test_wet_headers_on_request(tmp_path):
    (tmp_path / "a.warc.wet").write_bytes(WET)
    table, lines, facts = made(tmp_path / "a.warc.wet", columns=("WARC-Identified-Content-Language",))
    assert others(table.to_pylist()) == others(lines) == [{"WARC-Identified-Content-Language": "spa"}]
    assert facts["left_out"] == LEFT_OUT[1:]
    (item,) = work_items([str(tmp_path / "a.warc.wet")])
    assert [column.name for column in carrying([item], "all", COLUMNS).columns] == LEFT_OUT
    with pytest.raises(BadArgument, match=r"no input has 'warc-date'; .* have WARC-Identified-Content-Language"):
        carrying([item], "warc-date", COLUMNS)


def test_columns_of_csv_in_unusual_rows(tmp_path):
    """Marks at the start of files and records, an unnamed column, a short row, values that aren't UTF-8, line breaks,
    rows that are rejected, and names that the sample has itself."""
    rows = [
        BOM + b",text,lang,perplexity",
        BOM + b'0,uno,"es\nMX",9',
        b"1,,es,9",
        b"2,dos",
        b'3,"tr\xc3\xa9s",\xff,""',
        b"4," + b"x" * 60 + b",es,9",
        b"",
        b"5,seis,pt,9",
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(rows) + b"\n")
    table, lines, facts = made(tmp_path / "a.csv", {"max_document_bytes": 40})
    assert table.column("text").to_pylist() == ["uno", "dos", "trés", "seis"]
    assert table.column("perplexity").to_pylist() == [1.0, 3.0, 4.0, 7.0]
    assert others(table.to_pylist()) == others(lines)
    assert others(lines) == [
        {"column_1": "0", "lang": "es\nMX", "input_perplexity": "9"},
        {"column_1": "2", "lang": None, "input_perplexity": None},
        {"column_1": "3", "lang": None, "input_perplexity": ""},
        {"column_1": "5", "lang": "pt", "input_perplexity": "9"},
    ]
    assert facts == {"carried": dict.fromkeys(["column_1", "lang", "input_perplexity"], "string")}


def test_a_column_that_is_also_the_source_of_a_document(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,id,lang\nuno,1,es\ndos,2,pt\n")
    table, _, _ = made(tmp_path / "a.csv", source_by="column:lang")
    assert others(table.to_pylist()) == [{"id": "1", "lang": "es"}, {"id": "2", "lang": "pt"}]


def test_csv_beside_parquet_and_json(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,id,lang\nuno,1,es\n")
    pq.write_table(pa.table({"text": ["dos"], "id": [2], "lang": pa.array(["pt"], pa.large_string())}),
                   tmp_path / "b.parquet")  # fmt: skip
    (tmp_path / "c.jsonl").write_bytes(b'{"text": "tres", "id": 3, "n": [1]}\n')
    items = work_items([str(tmp_path / "*")])
    decided = carrying(items, None, COLUMNS)
    assert {column.name: str(column.type) for column in decided.columns} == {
        "id": "string", "lang": "large_string", "metadata": "string",
    }  # fmt: skip
    found = []
    for item in items:
        for batch in read_carrying(item, decided.columns):
            table = batch.carried.table(pa.array([0]).to_numpy())
            assert table.schema.types == [column.type for column in decided.columns]
            found += table.to_pylist()
    assert found == [
        {"id": "1", "lang": "es", "metadata": None},
        {"id": "2", "lang": "pt", "metadata": None},
        {"id": None, "lang": None, "metadata": '{"id":3,"n":[1]}'},
    ]


NESTED = {"text": "uno", "tags": ["a"], "more": {"n": 1, "url": "u"}}


@pytest.mark.parametrize(("inside", "left"), [(NESTED, {"tags": ["a"], "more": {"n": 1}}), ({"text": "uno"}, None)])
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_nested_text_is_not_carried_once_more(format, inside, left, tmp_path):
    row = {"id": 7, "meta": inside}
    file = tmp_path / f"a.{format}"
    if format == "jsonl":
        file.write_text(json.dumps(row) + "\n")
    else:
        bare = {"meta": None, "id": 8}
        pq.write_table(pa.Table.from_pylist([row, bare]), file)
    how = {"text_column": "meta.text", **({"url_column": "meta.more.url"} if "more" in inside else {})}
    table, lines, _ = made(file, how)
    assert table.column("text").to_pylist() == ["uno"]
    assert table.column("url").to_pylist() == ["u" if "more" in inside else None]
    rest = {"id": 7, **({"meta": left} if left else {})}
    assert others(lines) == [rest]
    (found,) = others(table.to_pylist())
    assert (json.loads(found["metadata"]) if format == "jsonl" else found) == rest


def test_a_name_with_dots_is_first_a_column(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"meta.text": "uno", "meta": {"text": "dos", "n": 1}}\n')
    pq.write_table(pa.table({"meta.text": ["uno"], "meta": [{"text": "dos", "n": 1}]}), tmp_path / "b.parquet")
    for name in ("a.jsonl", "b.parquet"):
        table, lines, _ = made(tmp_path / name, {"text_column": "meta.text"})
        assert table.column("text").to_pylist() == ["uno"]
        assert others(lines) == [{"meta": {"text": "dos", "n": 1}}]
        for path in ("scores", "parquet", "jsonl.gz"):
            (tmp_path / "out" / path).rename(tmp_path / f"{name}-{path}")


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_url_beside_the_named_one_is_carried(format, tmp_path):
    row, file = {"text": "uno", "url": "a", "link": "b"}, tmp_path / f"a.{format}"
    if format == "csv":
        file.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    elif format == "jsonl":
        file.write_text(json.dumps(row) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([row]), file)
    table, lines, _ = made(file, {"url_column": "link"})
    assert table.column("url").to_pylist() == [lines[0]["url"]] == ["b"]
    assert others(lines) == [{"input_url": "a"}]
    (found,) = others(table.to_pylist())
    assert found == ({"metadata": '{"url":"a"}'} if format == "jsonl" else {"input_url": "a"})


def test_a_parquet_column_without_a_name_is_carried(tmp_path):
    pq.write_table(pa.table({"text": ["uno"], "": [5]}), tmp_path / "a.parquet")
    table, lines, _ = made(tmp_path / "a.parquet")
    assert others(table.to_pylist()) == others(lines) == [{"": 5}]


def test_rows_of_json_that_are_too_long_or_marked_carry_nothing_wrong(tmp_path):
    rows = [b'{"text": "uno", "n": 0}', b'{"text": "' + b"x" * 90 + b'", "n": 1}', BOM + b'{"text": "tres", "n": 2}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    table, lines, _ = made(tmp_path / "a.jsonl", {"max_document_bytes": 60})
    assert [row["n"] for row in lines] == [0, 2]
    assert table.column("metadata").to_pylist() == ['{"n":0}', '{"n":2}']


def test_a_header_of_csv_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text," + b"x" * 90 + b"\nuno,1\n")
    source = DocumentSource(input=[str(tmp_path / "a.csv")], max_document_bytes=60)
    with pytest.raises(BadArgument, match=r"a\.csv: its header is too long: 95 bytes; max_document_bytes is 60; "):
        work_items([source])


def test_files_of_unknown_size_are_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,id\nuno,1\n")
    (item,) = work_items([str(tmp_path / "a.csv")])
    remote = msgspec.structs.replace(item, size=None)
    (batch,) = read_carrying(remote, carrying([remote], None, COLUMNS).columns)
    assert batch.carried.objects(pa.array([0]).to_numpy()) == [{"id": "1"}]
