"""What is said about inputs that aren't what they were read as."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from corpora.documents.items import work_items
from corpora.documents.sources import DocumentSource
from corpora.errors import TamizError
from pipelines.accounts import too_many_rejected
from pipelines.advice import check_read, warn_of_blank_lines
from pipelines.items import ItemReader


def counts_of(out: Path, path: Path, **reading: Any) -> dict[str, Any]:
    (item,) = work_items([DocumentSource(input=str(path), **reading)])
    with ItemReader(out, item) as reader:
        kept = sum(len(batch.texts) for batch in reader.batches())
    result = reader.result(kept=kept)
    return {"read": result.read, "kept": kept, "rejected": result.rejected}


ARRAY = json.dumps([{"text": "a"}, {"text": "b"}])
OBJECT = json.dumps({"text": "a"}, indent=2)
PRETTY = json.dumps([{"text": "a"}], indent=1)
NAMED = (
    'name the field that holds the text with --text-column content (in a recipe: text_column = "content"), '
    "and pass --rebuild"
)
LINES = "one object a line is needed (then --rebuild)"
SHAPES = [
    (ARRAY, f"; the file looks like one JSON array; {LINES}: jq -c '.[]' FILE > FILE.jsonl"),
    (PRETTY, f"; the file looks like one JSON array; {LINES}: jq -c '.[]' FILE > FILE.jsonl"),
    (OBJECT, f"; the file looks like pretty-printed JSON; {LINES}: jq -c . FILE > FILE.jsonl"),
    ('{"url":"u","content":"a"}', f"; text missing: its keys are url, content; {NAMED}"),
    ('{"id":1,"doc":{"text":"a"}}', NAMED.replace("content", "doc.text")),
    ('{"a":1}', "its keys are a; name the field that holds the text with --text-column, and pass --rebuild"),
    ('{"text":null}', "; fix the input and pass --rebuild"),
    ('{"text":null}\n{"text":"a"}', "; fix the input and pass --rebuild, or raise the limit"),
]


@pytest.mark.parametrize(("data", "told"), SHAPES)
def test_the_message_names_what_helps(tmp_path: Path, data: str, told: str) -> None:
    """If all rows are rejected, a higher limit isn't suggested."""
    (tmp_path / "x.json").write_text(data)
    counts = counts_of(tmp_path, tmp_path / "x.json")
    message = too_many_rejected(tmp_path / "rejected", counts, 0.05)
    assert message is not None
    assert "\n" not in message
    assert message.endswith(told)


def test_rows_without_the_fields_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"frage":"a"}')
    counts = counts_of(tmp_path, tmp_path / "x.json", template="{question}")
    message = too_many_rejected(tmp_path / "rejected", counts, 0.05)
    assert message is not None
    assert message.endswith(
        "no text: question is empty; its keys are frage; name other fields in the template or in turns, "
        "and pass --rebuild"
    )


def test_blank_lines_that_may_separate_documents_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.txt"
    for data, reading, told in (
        ("uno\ndos\n\n" * 5, {}, True),
        ("uno\ndos\n\n" * 5, {"blank_lines": True}, False),
        ("uno\n" * 50 + "\n" * 4, {}, False),
        ("uno\n" * 600 + "\n" * 5, {}, False),
    ):
        path.write_text(data)
        caplog.clear()
        counts = counts_of(tmp_path, path, **reading)
        warn_of_blank_lines(work_items([DocumentSource(input=str(path), **reading)]), counts)
        assert ("--blank-lines" in caplog.text) == told


def test_nothing_read_is_no_success(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Empty files have no rows: a warning. Files with content but without rows: an error."""
    nothing = {"read": 0, "kept": 0, "rejected": {}}
    (tmp_path / "a.jsonl").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        check_read(work_items([str(tmp_path / "a.jsonl")]), nothing, damaged=False)
    assert "no rows were read: the input file is empty" in caplog.text
    (tmp_path / "b.txt").write_text("\n\n")
    items = work_items([DocumentSource(input=f"{tmp_path}/*", blank_lines=False)])
    with pytest.raises(TamizError, match=r"no rows were read: .*b\.txt holds no documents"):
        check_read(items, nothing, damaged=False)
    check_read(items, nothing, damaged=True)  # damage is told elsewhere
    check_read(items, {**nothing, "read": 1}, damaged=False)


def test_exactly_as_many_rejected_rows_as_allowed_are_not_too_many(tmp_path: Path) -> None:
    """Blank lines don't count, on either side."""
    counts = {"read": 25, "rejected": {"not JSON": 5, "blank line": 5}}
    assert too_many_rejected(tmp_path, counts, 0.25) is None
    assert "5 of 20 rows (25.0%) were rejected" in str(too_many_rejected(tmp_path, counts, 0.2))
