"""How the documents of a source are read: text column, format, blank lines, language, name."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from corpora.documents.formats import FORMATS, reading_of
from corpora.documents.formats.json_texts import plain_texts
from corpora.documents.groups import check_language_column, language_of_item
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.row_numbers import located
from corpora.documents.sources import SOURCES, DocumentSource
from corpora.errors import BadArgument
from corpora.manifest import InputIdentity, MadeFrom
from pipelines.accounts import input_identities

Document = tuple[int, str]


def source(*patterns: Path | str, **reading: object) -> DocumentSource:
    return msgspec.convert({"input": [str(pattern) for pattern in patterns], **reading}, DocumentSource)


def read(items: list[WorkItem]) -> tuple[list[Document], list[Document]]:
    """Documents and rejected rows, each with its row; read as texts alone, they are the same."""
    documents: list[Document] = []
    rejected: list[Document] = []
    for item in items:
        batches, texts = list(read_batches(item)), list(read_texts(item))
        documents += [(int(row), text) for b in batches for row, text in zip(b.rows, b.texts, strict=True)]
        rejected += [(r.row, r.reason) for b in batches for r in b.rejected]
        assert [t for b in texts for t in b.texts.strings] == [t for b in batches for t in b.texts]
        assert [r for b in texts for r in b.rejected] == [r for b in batches for r in b.rejected]
    return documents, rejected


def test_json_texts_of_another_field(tmp_path: Path) -> None:
    """By kernels, a block at once and line by line."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"text":"no","body":"uno"}\n{"body":"d\\u00f3s","text":3}\n')
    items = work_items([source(path, text_column="body")])
    assert read(items) == ([(0, "uno"), (1, "dós")], [])
    found = plain_texts(path.read_bytes(), "body")
    assert found is not None
    assert found.strings == ["uno", "dós"]
    shortest = plain_texts(b'{"a":"."}\n' * 1000, "a")
    assert shortest is not None
    assert shortest.strings == ["."] * 1000
    with path.open("a") as file:
        file.write(
            '{"text":"a"}\n{"body":null}\n{"body":4}\n{"body":""}\n{"body":"\\ud800"}\n{"body":"fin","url":"u"}\n'
        )
    documents, rejected = read(items := work_items([source(path, text_column="body")]))
    assert documents == [(0, "uno"), (1, "dós"), (7, "fin")]
    reasons = ["missing: its keys are text", "null", "not a string: number", "empty"]
    assert rejected == [*enumerate([*(f"body {reason}" for reason in reasons), "lone surrogate: in body"], 2)]
    (batch,) = read_batches(items[0], columns=("text", "body"))
    assert batch.extra == {"text": ["no", "3", None], "body": batch.texts}
    assert batch.urls == [None, None, "u"]


@pytest.mark.parametrize("column", ["título", "a.b c", "url", "f0"])
def test_any_name_of_a_field(tmp_path: Path, column: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(msgspec.json.encode({"text": "no", column: "sí"}) + b"\n")
    pq.write_table(pa.table({"text": ["no"], column: ["sí"]}), tmp_path / "y.parquet")
    assert read(work_items([source(tmp_path / "*", text_column=column)])) == ([(0, "sí"), (0, "sí")], [])


def test_parquet_texts_of_another_column(tmp_path: Path) -> None:
    table = pa.table({"body": ["uno", None, ""], "text": [1, 2, 3], "url": ["u", "v", "w"]})
    pq.write_table(table, tmp_path / "x.parquet")
    items = work_items([source(tmp_path / "x.parquet", text_column="body")])
    assert read(items) == ([(0, "uno")], [(1, "body null"), (2, "body empty")])
    assert next(read_batches(items[0], columns=("text",))).extra == {"text": ["1"]}
    with pytest.raises(BadArgument, match=r"has no column corpus; its columns are body, text, url: .*--text-column"):
        work_items([source(tmp_path / "x.parquet", text_column="corpus")])
    with pytest.raises(BadArgument, match="column text is int64"):
        work_items([str(tmp_path / "x.parquet")])


@pytest.mark.parametrize(("name", "columns"), [("x.txt", "text"), ("x.tsv", "text, url")])
def test_a_text_column_that_a_format_cannot_have(tmp_path: Path, name: str, columns: str) -> None:
    (tmp_path / name).write_text("1\tuno\n")
    with pytest.raises(BadArgument, match=rf"{name} has no column body; a {name[2:]} file has only {columns}"):
        work_items([source(tmp_path / name, text_column="body")])


def test_a_format_for_files_without_an_extension(tmp_path: Path) -> None:
    """As wikiextractor names them."""
    (tmp_path / "AA").mkdir()
    (tmp_path / "AA" / "wiki_00").write_text('{"text":"uno"}\n')
    (tmp_path / "AA" / "wiki_01.gz").write_bytes(gzip.compress(b'{"text":"dos"}\n'))
    items = work_items([source(tmp_path / "*" / "wiki_*", format="jsonl")])
    assert [(item.name, item.format, item.compression) for item in items] == [
        ("AA__wiki_00", "jsonl", ""),
        ("AA__wiki_01.gz", "jsonl", "gz"),
    ]
    assert read(items) == ([(0, "uno"), (0, "dos")], [])
    with pytest.raises(BadArgument, match=r"wiki_00: unknown extension.*--format"):
        work_items([str(tmp_path / "AA" / "wiki_00")])


def test_a_format_beats_the_extension(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text":"uno"}\n')
    assert read(work_items([source(tmp_path / "x.jsonl", format="txt")])) == ([(0, '{"text":"uno"}')], [])


CC100 = "uno\ndos\r\n\n\n\r\ntres\n \n\nmal\n\xff\n\ncuatro\ncinco"


def twin_of_blank_lines(data: bytes) -> tuple[list[Document], list[int]]:
    """Documents with the row of their first line, and the rows of those that aren't UTF-8."""
    documents: list[Document] = []
    bad: list[int] = []
    run: list[bytes] = []
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    for row, line in enumerate([*lines, b""]):
        if line:
            run.append(line)
        elif run:
            try:
                documents.append((row - len(run), b"\n".join(run).decode()))
            except UnicodeDecodeError:
                bad.append(row - len(run))
            run = []
    return documents, bad


def test_blank_lines_separate_documents(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xef\xbb\xbf" + CC100.encode("latin-1"))
    documents, rejected = read(work_items([source(path, blank_lines=True)]))
    assert documents == [(0, "uno\ndos"), (5, "tres\n "), (11, "cuatro\ncinco")]
    assert rejected == [(8, "invalid UTF-8: byte 4 of the document")]
    assert (documents, [8]) == twin_of_blank_lines(CC100.encode("latin-1"))


@pytest.mark.parametrize("block", [1, 2, 3, 16, 1 << 20])
def test_items_never_cut_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """However the file is cut into items, blocks and batches, and where blank lines fall."""
    monkeypatch.setattr("corpora.documents.splitting.BLOCK", block)
    rng = np.random.default_rng(block)
    parts = [b"a", b"\xc3\xb1", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\xff"]
    for n in range(60):
        data = b"".join(parts[k] for k in rng.integers(0, len(parts), rng.integers(0, 60)))
        path = tmp_path / f"{n}.txt"
        path.write_bytes(data)
        expected = twin_of_blank_lines(data)
        for item_bytes in (1, 2, 7, 30):
            items = work_items([source(path, blank_lines=True)], item_bytes)
            documents, rejected = read(items)
            assert (documents, [row for row, _ in rejected]) == expected, (data, item_bytes)
            small = [b for item in items for b in read_batches(item, batch_bytes=1)]
            assert [(int(r), t) for b in small for r, t in zip(b.rows, b.texts, strict=True)] == expected[0]
            assert sum(b.bytes_read for b in small) == len(data)


def test_items_of_documents_are_about_item_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("".join(f"uno {n}\ndos {n}\n\n" for n in range(100)))
    items = work_items([source(path, blank_lines=True)], 100)
    assert len(items) > 10
    assert all(item.end - item.start < 130 for item in items)
    assert [(located(item).first_row or 0) % 3 for item in items] == [0] * len(items)


def test_an_incomplete_last_document_of_a_damaged_file_is_dropped(tmp_path: Path) -> None:
    whole = gzip.compress(b"uno\n\ndos\ntres\n" + bytes(range(65, 91)) * 4000)
    (tmp_path / "x.txt.gz").write_bytes(whole[:-20])
    (item,) = work_items([source(tmp_path / "x.txt.gz", blank_lines=True)])
    batches = list(read_batches(item))
    assert [t for b in batches for t in b.texts] == ["uno"]
    assert batches[-1].damage is not None
    assert batches[-1].damage.endswith("2 whole lines of an incomplete last document dropped")


def test_blank_lines_of_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text":"a"}\n')
    with pytest.raises(BadArgument, match="blank lines can't separate the documents of a jsonl file"):
        work_items([source(tmp_path / "x.jsonl", blank_lines=True)])


def test_several_sources(tmp_path: Path) -> None:
    for folder, line in (("a", '{"text":"uno"}\n'), ("b", '{"body":"dos"}\n')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part-0.jsonl").write_text(line)
    a, b = tmp_path / "a" / "*", tmp_path / "b" / "*"
    with pytest.raises(BadArgument, match=r"would both be written as part-0\.jsonl"):
        work_items([source(a), source(b, text_column="body")])
    items = work_items([source(b, text_column="body", name="libros"), source(a, language="es")])
    assert [(item.name, item.number, item.language) for item in items] == [
        ("libros__part-0.jsonl", 0, None),
        ("part-0.jsonl", 1, "es"),
    ]
    assert read(items) == ([(0, "dos"), (0, "uno")], [])
    with pytest.raises(BadArgument, match="belongs to two sources that read it differently"):
        work_items([source(a), source(a, language="es")])
    assert len(work_items([source(a), source(a)])) == 1


def test_the_language_of_a_source_beats_the_path(tmp_path: Path) -> None:
    (tmp_path / "pt.txt").write_text("uno\n")
    (plain,) = work_items([source(tmp_path / "pt.txt")])
    (named,) = work_items([source(tmp_path / "pt.txt", language="es")])
    assert language_of_item(plain, ["es", "pt"]) == "pt"
    assert language_of_item(named, ["es", "pt"]) == "es"
    with pytest.raises(BadArgument, match=r"pt\.txt: its language is es; it must be one of pt, fr"):
        language_of_item(named, ["pt", "fr"])
    with pytest.raises(BadArgument, match="language es and language_column 'text' are both given"):
        check_language_column([named], "text")
    check_language_column([plain], "text")


def test_published_corpora() -> None:
    corpus = SOURCES["wikipedia-es"]
    named = DocumentSource(source=corpus.name)
    assert (named.patterns, named.language_of_documents) == ((corpus.pattern,), "es")
    own = DocumentSource(source=corpus.name, input="a/*.jsonl")  # as a recipe with --set documents.input
    assert (own.patterns, own.language_of_documents) == (("a/*.jsonl",), None)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "neither input nor source"),
        ({"input": []}, "input is empty"),
        ({"source": "mc4_es"}, "source is 'mc4_es', .* did you mean mc4-es"),
        ({"input": "a", "text_column": ""}, "text_column is empty"),
        ({"input": "a", "text_column": 'a"b'}, "text_column is 'a\"b'; it can't contain"),
        ({"input": "a", "language": ""}, "language is empty"),
        ({"input": "a", "name": "a/b"}, "name is 'a/b'"),
        ({"input": "a", "format": "xml"}, "format is 'xml'; it must be one of jsonl, parquet, tsv, txt, csv, "),
        ({"input": "a", "text": "b"}, "unknown field `text`"),
    ],
)
def test_sources_that_cannot_be(given: dict[str, object], match: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=match):
        msgspec.convert(given, DocumentSource)


def test_how_a_file_is_read_is_part_of_its_identity(tmp_path: Path) -> None:
    """Only where it isn't the default, so that what was finished before stays finished."""
    (tmp_path / "x.txt").write_text("uno\n")
    plain, blank, forced = (
        input_identities(work_items([source(tmp_path / "x.txt", **reading)]), tmp_path)
        for reading in ({}, {"blank_lines": True}, {"format": "jsonl", "text_column": "body"})
    )
    assert b"reading" not in msgspec.json.encode(plain)
    assert plain[0].content() == [plain[0].name, plain[0].sha256]
    assert blank[0].reading == {"blank_lines": True}
    assert forced[0].reading == {"format": "jsonl", "text_column": "body"}
    prints = {MadeFrom(stage="s", algorithm=1, settings={}, inputs=i).fingerprint() for i in (plain, blank, forced)}
    assert len(prints) == 3
    again = msgspec.json.decode(msgspec.json.encode(blank), type=list[InputIdentity])
    assert again == blank
    (item,) = work_items([source(tmp_path / "x.txt", format="txt", language="es")])
    assert reading_of(item) == {}


def test_every_reading_command_has_the_options() -> None:
    from tamiz.commands import lm, sample, score, shards, tokenizer, tokenizer_eval

    commands = [lm.train, score.command, sample.command, tokenizer.train, tokenizer_eval.command, shards.build]
    for command in commands:
        text = CliRunner().invoke(command, ["--help"]).output
        for flag in (
            "--input PATTERN...",
            "--text-column NAME",
            "--language L",
            "--input-format F",
            "--blank-lines",
            "--url-column",
        ):
            assert flag in text, (command.name, flag)
        for format in FORMATS:
            assert all(extension in text for extension in format.shown_extensions or format.extensions)
