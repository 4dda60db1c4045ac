"""Bad and odd JSON lines, on every way that they are read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from corpora.documents.formats.json_texts import plain_texts
from tests.read_documents import COMPRESSIONS, Compress, read

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
