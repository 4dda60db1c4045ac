"""Values beside the text: whatever they are, every text is read, and readers and the draw spell them alike."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.documents.values import decoded, strings
from corpora.errors import BadArgument
from corpora.sampling import keep
from corpora.sampling.draw import keep_documents

CASES = Path(__file__).parents[3] / "shared" / "cases" / "parquet"
FAR = 1 << 60
OUT_OF_RANGE = f"<value out of range: {FAR}>"

VALUES = {
    "timestamp": (pa.array([0, 1, FAR, None], pa.timestamp("us")),
                  ["1970-01-01 00:00:00.000000", "1970-01-01 00:00:00.000001", OUT_OF_RANGE, None]),
    "zone": (pa.array([0], pa.timestamp("us", "America/Lima")), ["1969-12-31 19:00:00.000000-0500"]),
    "unknown zone": (pa.array([0], pa.timestamp("us", "Nowhere/Land")), ["1970-01-01 00:00:00.000000Z"]),
    "date": (pa.array([1, (1 << 31) - 1], pa.date32()), ["1970-01-02", f"<value out of range: {(1 << 31) - 1}>"]),
    "duration": (pa.array([5], pa.duration("s")), ["5"]),
    "decimal": (pa.array([Decimal("1.50")]), ["1.50"]),
    "integer": (pa.array([7, None]), ["7", None]),
    "bytes": (pa.array([b"\xff", "ñ".encode(), b""]), [None, "ñ", ""]),
    "view": (pa.array(["a", None], pa.string_view()), ["a", None]),
    "runs": (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]), ["a", "a", None]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "null": (pa.nulls(2), [None, None]),
    "list": (pa.array([["a", "ñ"], None, []]), ['["a", "ñ"]', None, "[]"]),
    "list of times": (pa.array([[datetime(2020, 1, 1)]]), ['["2020-01-01 00:00:00.000000"]']),
    "struct": (pa.array([{"raw": b"\xff", "when": date(2020, 1, 2), "price": Decimal("2.5"), "n": 1, "x": 0.5}]),
               ['{"raw": null, "when": "2020-01-02", "price": "2.5", "n": 1, "x": 0.5}']),
    "nan": (pa.array([[float("nan"), 1.5]]), ["[null, 1.5]"]),
    "map": (pa.array([[("a", b"\xff")]], pa.map_(pa.string(), pa.binary())), ['[["a", null]]']),
    "far list": (pa.array([[FAR]], pa.list_(pa.timestamp("us"))), [f'["{OUT_OF_RANGE}"]']),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_arrows_text_json_or_null(name):
    column, expected = VALUES[name]
    assert strings(decoded(column)) == expected
    assert strings(decoded(pa.chunked_array([column, column]))) == expected * 2


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("of", ["url", "timestamp"])
def test_the_reader_and_the_draw_see_the_same_strings(tmp_path: Path, name: str, of: str) -> None:
    column, _ = VALUES[name]
    if pa.types.is_run_end_encoded(column.type):
        pytest.skip("Parquet doesn't hold this type")
    times = 40
    column = pa.chunked_array([column] * times).combine_chunks()
    table = pa.table({"text": [f"uno {n}" for n in range(len(column))], of: column})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=7)
    batches = [batch for item in work_items([str(tmp_path / "x.parquet")]) for batch in read_batches(item)]
    assert [text for batch in batches for text in batch.texts] == table.column("text").to_pylist()
    half = [np.full(len(batch.texts), 0.5) for batch in batches]
    drawn = [keep_documents(b.texts, b.urls, b.timestamps, p) for b, p in zip(batches, half, strict=True)]
    again = keep(pq.read_table(tmp_path / "x.parquet"), np.full(len(table), 0.5))
    assert np.concatenate(drawn).tolist() == again.tolist()


def texts_of(path: Path) -> tuple[list[str], list[tuple[int, str]], list[str | None]]:
    batches = [batch for item in work_items([str(path)]) for batch in read_batches(item)]
    lean = [batch for item in work_items([str(path)]) for batch in read_texts(item)]
    found = [text for batch in batches for text in batch.texts]
    assert [text for batch in lean for text in batch.texts.strings] == found
    assert [row for batch in lean for row in batch.rejected] == [row for batch in batches for row in batch.rejected]
    rejected = [(row.row, row.reason) for batch in batches for row in batch.rejected]
    return found, rejected, [batch.damage for batch in batches if batch.damage]


BAD = [b"uno", b"a\xff", None, b"", b"dos"]
KINDS = {
    "plain": lambda: pa.array(BAD).view(pa.string()),
    "large": lambda: pa.array(BAD, pa.large_binary()).view(pa.large_string()),
    "bytes": lambda: pa.array(BAD),
    "binary view": lambda: pa.array(BAD, pa.binary_view()),
    "dictionary": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 2, 3], pa.int8()), pa.array([b"uno", b"a\xff", b"", b"dos"]).view(pa.string())),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_is_not_utf8_costs_its_row_alone_in_every_encoding(tmp_path: Path, kind: str) -> None:
    pq.write_table(pa.table({"text": KINDS[kind](), "n": range(5)}), tmp_path / "x.parquet")
    reasons = [(1, "invalid UTF-8: in text"), (2, "text null"), (3, "text empty")]
    assert texts_of(tmp_path / "x.parquet") == (["uno", "dos"], reasons, [])


def test_a_dictionary_with_a_bad_string_costs_no_other_row_group_or_batch(tmp_path: Path) -> None:
    words = [f"palabra {n}".encode() for n in range(50)]
    groups = [pa.DictionaryArray.from_arrays(pa.array(range(50), pa.int8()), pa.array(words).view(pa.string()))]
    bad = pa.array([*words[:49], b"\xff"]).view(pa.string())
    groups.append(pa.DictionaryArray.from_arrays(pa.array(range(50), pa.int8()), bad))
    with pq.ParquetWriter(tmp_path / "x.parquet", pa.schema([("text", groups[0].type)])) as writer:
        for group in groups:
            writer.write_table(pa.table({"text": group}))
    item = work_items([str(tmp_path / "x.parquet")])[0]
    batches = list(read_batches(item, batch_bytes=50))
    assert len(batches) > 4
    assert [text for batch in batches for text in batch.texts] == [w.decode() for w in [*words, *words[:49]]]
    assert [row.row for batch in batches for row in batch.rejected] == [99]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(99))


def test_of_columns_with_one_name_the_first_counts(tmp_path: Path) -> None:
    names = ["text", "url", "url", "text"]
    pq.write_table(pa.table([["uno"], ["a"], ["b"], ["otro"]], names=names), tmp_path / "x.parquet")
    batch = next(read_batches(work_items([str(tmp_path / "x.parquet")])[0]))
    assert (batch.texts, batch.urls) == (["uno"], ["a"])
    table = pa.table([["uno"], ["a"], ["b"], ["otro"]], names=names)
    assert keep(table, [0.5]).tolist() == keep_documents(["uno"], ["a"], [None], [0.5]).tolist()


def test_a_column_without_texts_has_no_documents(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(2)}), tmp_path / "x.parquet")
    assert texts_of(tmp_path / "x.parquet") == ([], [(0, "text null"), (1, "text null")], [])


@pytest.mark.skipif(not CASES.is_dir(), reason="shared/cases isn't beside the checkout")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.parquet")), ids=lambda path: path.stem)
def test_every_case_is_read_or_refused_in_one_line(path: Path) -> None:
    if path.stem in ("int", "list", "struct", "content", "upper"):
        with pytest.raises(BadArgument, match=r"column") as refused:
            work_items([str(path)])
        assert len(str(refused.value).splitlines()) == 1
        return
    found, rejected, damage = texts_of(path)
    assert damage == []
    assert all(reason in ("text null", "text empty", "invalid UTF-8: in text") for _, reason in rejected)
    assert bool(found) == (path.stem not in ("empty", "nogroups", "null"))
