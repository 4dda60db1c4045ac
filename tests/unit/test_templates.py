"""Texts made of several fields of a row, or of the turns of a chat."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.documents.carrying import carrying
from corpora.documents.formats import reading_of
from corpora.documents.formats.json_fields import CarriedFields
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_carrying, read_texts
from corpora.documents.sources import DocumentSource
from corpora.documents.templates import NotText, Template, row_text, text_bytes
from corpora.errors import BadArgument
from tests.reference import row_templates

ORDER = "{instruction}\n{input}\n{output}"
Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def read(path: Path, **how: Any) -> tuple[list[str], list[str]]:
    """Texts, and the reasons of rejected rows; read as texts alone, they are the same."""
    items = work_items([DocumentSource(input=str(path), **how)])
    batches = [batch for item in items for batch in read_batches(item)]
    alone = [batch for item in items for batch in read_texts(item)]
    texts = [text for batch in batches for text in batch.texts]
    rejected = [row for batch in batches for row in batch.rejected]
    assert [text for batch in alone for text in batch.texts.strings] == texts
    assert [row for batch in alone for row in batch.rejected] == rejected
    assert sum(batch.total for batch in batches) == len(texts) + len(rejected)
    return texts, [row.reason for row in rejected]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_instructions(tmp_path: Path, kind: str) -> None:
    """A line of the template without a value is left out; what is in a value stays as it is."""
    rows: list[Row] = [
        {"instruction": "Suma", "input": "1 y 2", "output": "3"},
        {"instruction": "Saluda", "input": None, "output": "Hola"},
        {"instruction": "Saluda", "input": "", "output": "\nHola\n"},
        {"instruction": "{input} {{x}} }{", "input": "{output}", "output": "{0} %s \\n"},
        {"instruction": None, "input": None, "output": None},
        {"instruction": "", "input": "", "output": ""},
    ]
    path = write(tmp_path / f"x.{kind}", rows)
    texts, reasons = read(path, template=ORDER)
    assert texts == [
        "Suma\n1 y 2\n3",
        "Saluda\nHola",
        "Saluda\n\nHola\n",
        "{input} {{x}} }{\n{output}\n{0} %s \\n",
    ]
    assert texts == [text for row in rows if (text := row_templates.row_text(row, ORDER))]
    assert len(reasons) == 2
    assert all(reason.startswith("no text: instruction and input and output are empty") for reason in reasons)
    literal = "### Orden: {instruction}\n\n### Datos: {input}\n{{\"r\": {output}}}"  # fmt: skip
    assert read(path, template=literal)[0][1] == '### Orden: Saluda\n\n{"r": Hola}'


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(("speaker", "said"), [("role", "content"), ("from", "value")])
def test_chats(tmp_path: Path, kind: str, speaker: str, said: str) -> None:
    """OpenAI's and ShareGPT's keys without being named; turns that say nothing are left out."""
    chat = [
        {speaker: "user", said: "¿Qué tal?"},
        {speaker: "assistant", said: "Bien.\n\n¿Y tú?"},
        None,
        {speaker: "user", said: None},
        {speaker: None, said: "Adiós"},
    ]
    rows: list[Row] = [
        {"system": "Sé breve.", "chat": chat},
        {"system": None, "chat": chat[:1]},
        {"system": "Sé breve.", "chat": []},
        {"system": None, "chat": None},
        {"system": None, "chat": [{speaker: "user", said: ""}]},
    ]
    path = write(tmp_path / f"x.{kind}", rows)
    whole = "user: ¿Qué tal?\nassistant: Bien.\n\n¿Y tú?\n: Adiós\n"
    texts, reasons = read(path, turns="chat")
    assert texts == [whole, "user: ¿Qué tal?\n"]
    assert [reason.split(";")[0] for reason in reasons] == [
        "no text: chat is empty",
        "no text: chat is empty",
        "no text: chat has no turn with role or content",
    ]
    assert f"the keys of a turn are {speaker}, {said}" in reasons[2]
    assert read(path, turns="chat", template="{system}\n{chat}")[0] == [
        f"Sé breve.\n{whole}", "user: ¿Qué tal?\n", "Sé breve.",
    ]  # fmt: skip
    own = f"<{{{speaker}}}>{{{said}}}</>"
    assert read(path, turns="chat", turn=own)[0][1] == "<user>¿Qué tal?</>"
    for how in ({"turns": "chat"}, {"turns": "chat", "turn": own}, {"turns": "chat", "template": "{chat}{system}"}):
        assert read(path, **how)[0] == [
            text
            for row in rows
            if (text := row_templates.row_text(row, how.get("template"), "chat", how.get("turn")))
        ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_paths_numbers_and_other_columns(tmp_path: Path, kind: str) -> None:
    rows: list[Row] = [
        {"a": {"q": "uno", "n": 3}, "ok": True, "meta": {"url": "u"}, "date": "2020"},
        {"a": {"q": None, "n": 4}, "ok": None, "meta": None, "date": None},
        {"a": None, "ok": False, "meta": None, "date": None},
    ]
    path = write(tmp_path / f"x.{kind}", rows)
    how = {"template": "{a.q}={a.n}\n{ok}", "url_column": "meta.url"}
    (item,) = work_items([DocumentSource(input=str(path), **how)])  # type: ignore[arg-type]
    found = list(read_batches(item))
    assert [text for batch in found for text in batch.texts] == ["uno=3\ntrue", "=4", "false"]
    assert [url for batch in found for url in batch.urls] == ["u", None, None]
    assert [one for batch in found for one in batch.timestamps] == ["2020", None, None]
    assert reading_of(item) == how


NUMBERS = {7: "7", 1.0: "1.0", -0.25: "-0.25", 1e20: "1e+20", 1e-7: "1e-07", 2**63 - 1: "9223372036854775807"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_numbers_are_spelled_as_in_json_and_without_a_spelling_no_text(tmp_path: Path, kind: str) -> None:
    """In a field, and in a turn. NaN isn't JSON, so that such lines are rejected as a whole."""
    for number, spelled in {**NUMBERS, math.nan: None, math.inf: None, -math.inf: None}.items():
        path = write(tmp_path / f"x.{kind}", [{"n": number, "chat": [{"role": "a", "content": number}]}])
        for how, said in (({"template": "<{n}>"}, "n"), ({"turns": "chat", "turn": "<{content}>"}, "chat.0.content")):
            texts, reasons = read(path, **how)
            assert texts == ([] if spelled is None else [f"<{spelled}>"])
            wrong = "not JSON: " if kind == "jsonl" else f"{said} not a text: not a finite number"
            assert spelled is not None or reasons[0].startswith(wrong)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16()])
def test_short_floats_are_the_number_that_they_are(tmp_path: Path, kind: pa.DataType) -> None:
    """As in the sample's metadata, and in a turn as in a field."""
    values = pa.array([np.float16(0.1), np.float16("nan"), np.float16(2)]).cast(pa.float32()).cast(kind)
    turns = pa.ListArray.from_arrays([0, 1, 2, 3], pa.StructArray.from_arrays([values], ["content"]))
    pq.write_table(pa.table({"n": values, "chat": turns}), tmp_path / "x.parquet")
    expected = ["0.0999755859375", "2.0"]
    assert read(tmp_path / "x.parquet", template="{n}") == (expected, ["n not a text: not a finite number"])
    assert read(tmp_path / "x.parquet", turns="chat", turn="{content}")[0] == expected


def test_the_fields_of_the_text_are_not_carried_twice(tmp_path: Path) -> None:
    rows: list[Row] = [{"instruction": "a", "output": "b", "topic": "c", "chat": [{"role": "x", "content": "y"}]}]
    for kind in ("jsonl", "parquet"):
        path = write(tmp_path / f"x.{kind}", rows)
        (item,) = work_items([DocumentSource(input=str(path), template="{instruction}{output}")])
        carried = carrying([item], None, ("text", "url", "timestamp"))
        (batch,) = read_carrying(item, carried.columns)
        assert batch.texts == ["ab"]
        assert batch.carried is not None
        assert kind == "parquet" or isinstance(batch.carried, CarriedFields)
        (row,) = batch.carried.objects(np.array([0]))
        assert sorted(row) == ["chat", "topic"]


BAD = [
    ({"instruction": ["a", "b"]}, "instruction not a text: array"),
    ({"instruction": {"a": 1}}, "instruction not a text: object"),
    ({"instruction": "a", "chat": ["hola", "adiós"]}, "chat.0 not an object: string"),
    ({"instruction": "a", "chat": "hola"}, "chat not a list of turns: string"),
    ({"instruction": "a", "chat": [{"role": "x", "content": ["a"]}]}, "chat.0.content not a text: array"),
    ({"instruction": "a", "chat": [{"role": {"a": 1}, "content": "b"}]}, "chat.0.role not a text: object"),
    ({"order": "a"}, "no text: instruction and chat are empty; its keys are order"),
    ({}, "no text: instruction and chat are empty; it has no keys"),
    ({"chat": [{"speaker": "a", "text": "b"}]}, "no text: chat has no turn with role or content; the keys of a turn "
     "are speaker, text; its keys are chat"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_rows_that_are_no_text(tmp_path: Path, row: Row, reason: str) -> None:
    good = {"instruction": "bueno", "chat": [{"role": "a", "content": "b"}]}
    path = write(tmp_path / "x.jsonl", [good, row, good])
    assert read(path, template="{instruction} {chat}", turns="chat") == (["bueno a: b\n"] * 2, [reason])


def test_bad_lines_are_rejected_as_without_a_template(tmp_path: Path) -> None:
    lines = {
        b"": "blank line",
        b"[1]": "not an object: array",
        b'{"a":"b"': "not JSON: Expecting ',' delimiter at character 8",
        b'{"a":"\xff"}': "invalid UTF-8: in the text",
        b'{"a":"\\ud800"}': "lone surrogate: in the text",
        b'{"a":"b","url":"\\ud800"}': "lone surrogate: in url",
        b'{"a":1e999}': "a not a text: not a finite number",
        b'{"a":"' + b"x" * 60 + b'"}': "too long: 68 bytes; max_document_bytes is 60",
    }
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(line + b'\n{"a":"b\\u00f3","x":"\xff"}\n' for line in lines) + b"\n")
    texts, reasons = read(path, template="{a}", max_document_bytes=60)
    assert texts == ["bó"] * len(lines)
    assert reasons == [*lines.values(), "blank line"]
    short = tmp_path / "y.jsonl"
    short.write_text('{"a":"' + "ñ" * 12 + '"}\n')
    told = "too long: 72 bytes; max_document_bytes is 60"
    assert read(short, template="{a}{a}{a}", max_document_bytes=60) == ([], [told])
    pq.write_table(pa.table({"a": ["ñ" * 12, "n"]}), tmp_path / "y.parquet")
    assert read(tmp_path / "y.parquet", template="{a}{a}{a}", max_document_bytes=60) == (["nnn"], [told])


def test_bytes_that_are_not_utf8_in_parquet(tmp_path: Path) -> None:
    turn = pa.struct([("from", pa.string()), ("value", pa.binary())])
    table = pa.table({
        "a": pa.array([b"a", b"\xff", b"b"], pa.binary()),
        "chat": pa.array([None, None, [{"from": "x", "value": b"\xff"}]], pa.list_(turn)),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet", template="{a}\n{chat}", turns="chat")
    assert found == (["a"], ["invalid UTF-8: in a", "invalid UTF-8: in chat"])


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"template": "{instrution}"}, "no column instrution, which the template names; its columns are instruction"),
        ({"template": "{tags}"}, r"column tags is list<.*string>; a field of a template must be a text or a number"),
        ({"turns": "tags"}, r"column tags is list<.*string>; turns must be a list of structs"),
        ({"turns": "instruction"}, "column instruction is string; turns must be a list of structs"),
        ({"turns": "chat", "turn": "{content} {name}"}, "no turn of chat has name, .* they have role, content"),
        ({"turns": "parts"}, r"parts\.content is list<.*string>; it must be a text or a number"),
    ],
)
def test_columns_that_parquet_lacks_are_told_before_any_work(tmp_path: Path, how: Row, match: str) -> None:
    turn = {"role": "a", "content": "b"}
    rows: list[Row] = [
        {"instruction": "a", "tags": ["b"], "chat": [turn], "parts": [{"role": "a", "content": ["b"]}]}
    ]
    path = write(tmp_path / "x.parquet", rows)
    with pytest.raises(BadArgument, match=match):
        work_items([DocumentSource(input=str(path), **how)])


@pytest.mark.parametrize("empty", [None, []])
def test_a_file_in_which_no_row_has_a_turn(tmp_path: Path, empty: list[Row] | None) -> None:
    path = write(tmp_path / "x.parquet", [{"system": "a", "chat": empty}, {"system": None, "chat": empty}])
    found = read(path, turns="chat", template="{system}{chat}")
    assert found == (["a"], ["no text: system and chat are empty"])


def test_fields_that_the_first_rows_lack_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(
        tmp_path / "x.jsonl", [{"instruction": "a", "chat": [{"speaker": "b", "content": "c"}]}, {"output": "d"}]
    )
    for _ in range(2):
        assert read(path, template="{instrution} {output}")[0] == [" d"]
        assert read(path, turns="chat", turn="{name}: {content}")[0] == [": c"]
    assert read(path, template="{instruction}{output}")[0] == ["a", "d"]
    assert [record.message.removeprefix(f"{path}: ") for record in caplog.records] == [
        "no instrution in its first rows; its keys are instruction, chat, output; such fields are taken as empty",
        "no name in the first chat; a turn has speaker, content; such fields are taken as empty",
    ]


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"template": "a"}, "it names no field: write one in braces"),
        ({"template": ""}, "it names no field"),
        ({"template": "{a"}, "'{' at character 0 is no field"),
        ({"template": "a} {b}"}, "'}' at character 1 is no field"),
        ({"template": "{}"}, "'{}' at character 0 is no field"),
        ({"template": "{a\nb}"}, "'{' at character 0 is no field"),
        ({"turn": "{content}"}, "turns is not given: name the field that holds the list of turns"),
        ({"template": "{a}", "turn": "{content}"}, "turns is not given"),
        ({"turns": ""}, "turns is empty"),
        ({"turns": "chat", "turn": "{role}"}, "it names no content: add {content}"),
        ({"turns": "chat", "template": "{system}"}, "it must say where the turns go: add {chat}"),
        ({"template": "{a}", "text_column": "b"}, "text_column is 'b', but the text is made of other fields"),
    ],
)
def test_settings_that_cannot_be(how: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        DocumentSource(input="a.jsonl", **how)  # type: ignore[arg-type]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    for name in ("x.txt", "x.csv", "x.tsv"):
        (tmp_path / name).write_text("text\nuno\n")
        with pytest.raises(BadArgument, match="template and turns are for JSON lines and Parquet, not for a"):
            work_items([DocumentSource(input=str(tmp_path / name), template="{text}")])


def test_one_file_cannot_be_read_with_two_templates(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"a": "b"}])
    sources = [DocumentSource(input=str(path), template=template) for template in ("{a}", "{a}!")]
    with pytest.raises(BadArgument, match="two sources that read it differently"):
        work_items(sources)


WORDS = st.sampled_from(["", "uno", "{a}", "}}", "{{", "\n", "x\ny", None, 7, 1.5, True, "ñ{b}"])
INNER = st.none() | st.fixed_dictionaries({"d": WORDS})
KEYS = st.sampled_from(["role", "from", "content", "value"])
PIECES = st.sampled_from(["{a}", "{b}", "{c.d}", "\n", "{{", "}}", " ", "x", "\n\n", "{chat}"])


@given(
    st.lists(PIECES, max_size=8).map(lambda parts: "".join([*parts, "{chat}"])),
    st.fixed_dictionaries(
        {}, optional={"a": WORDS, "b": WORDS, "c": st.none() | st.fixed_dictionaries({"d": WORDS})}
    ),
    st.none() | st.lists(st.none() | st.dictionaries(st.sampled_from(["role", "from", "content", "value"]), WORDS)),
)
def test_as_the_slow_twin(template: str, row: Row, chat: list[Row | None] | None) -> None:
    text = row_text(template, "chat", None)
    assert text is not None
    row = {**row, "chat": chat}
    slow = row_templates.row_text(row, template, "chat")
    if slow:
        assert text.of_object(row) == slow
    else:
        with pytest.raises(NotText):
            text.of_object(row)


def test_a_template_without_line_breaks_has_one_line() -> None:
    assert Template.parse("template", "{{{a}}}").lines == (("{", 0, "}"),)


@pytest.mark.parametrize(
    ("text", "most", "said"), [("😀" * 3, 11, 12), ("😀" * 3, 12, None), ("abc", 3, None), ("abc", 2, 3)]
)
def test_only_bytes_beyond_the_bound_are_told(text, most, said):
    assert text_bytes(text, most) == said
