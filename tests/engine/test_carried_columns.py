"""What documents have beside text, timestamp and url: it is in the sample, or the sample says that it isn't."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora import manifest
from corpora.errors import BadArgument
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.settings import RunnerSettings
from tamiz.stages.common import Context
from tamiz.stages.sample import sample_stage
from tests.make_scores import write_scores

USUAL = ["text", "timestamp", "url", "perplexity", "keep_probability"]
REST = '{"id":NUMBER,"license":null,"score":1.50,"meta":{"b": [1e5, "ñ"], "a": 2},"n":12345678901234567890}'


def rest(n: int) -> str:
    return REST.replace("NUMBER", str(n))


def write_lines(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows))


def rich(n: int) -> str:
    return f'{{"text": "uno {n}", "url": "https://a.invalid/{n}", {rest(n)[1:]}'


def plain(n: int) -> str:
    return f'{{"text": "dos {n}", "url": null, "timestamp": "2020"}}'


def table(count: int) -> pa.Table:
    return pa.table({
        "text": [f"tres {n}" for n in range(count)],
        "id": pa.array(range(count), pa.int32()),
        "perplexity": pa.array(["mine"] * count),
        "meta": [{"when": datetime(2020, 1, 2), "tags": ["a", "b"]}] * count,
        "licence": pa.array(["cc0"] * count).dictionary_encode(),
    })  # fmt: skip


def made(folder: Path, *, workers: int = 1, name: str = "sampled", **settings: object) -> tuple[Path, dict]:
    """A sample of all files in folder/in, with a perplexity of 1 + row for each document."""
    patterns = [str(folder / "in" / "*")]
    if not (folder / "scores").exists():
        every = {path.name: [1.0 + row for row in range(1000)] for path in (folder / "in").iterdir()}
        write_scores(folder / "scores", patterns, every, {})
    chosen = sample_settings(**{"method": "random", "keep": 1.0, **settings})
    outcome = sample(patterns, folder / "scores", folder / name, chosen, RunnerSettings(workers=workers))
    return folder / name, outcome.manifest.facts


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


def test_the_other_fields_of_json_are_one_column_as_they_were(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [rich(n) for n in range(20)])
    out, facts = made(tmp_path)
    found = read(out)
    assert found.column_names == [*USUAL, "metadata"]
    assert found.column("metadata").to_pylist() == [rest(n) for n in range(20)]
    assert facts["columns"] == {"carried": {"metadata": "string"}}


def test_inputs_without_other_fields_give_the_columns_and_fingerprint_of_old(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [plain(n) for n in range(20)])
    out, facts = made(tmp_path)
    assert read(out).column_names == USUAL
    assert "columns" not in facts
    settings = manifest.read(out).made_from.settings
    assert settings.keys().isdisjoint({"columns", "fitted_to", "values", "source_by"})


def test_parquet_columns_keep_their_types(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(table(25), tmp_path / "in" / "a.parquet", row_group_size=10)
    out, facts = made(tmp_path, keep=0.5)
    found = read(out)
    assert found.column_names == [*USUAL, "id", "input_perplexity", "meta", "licence"]
    assert found.schema.field("id").type == pa.int32()
    assert found.schema.field("meta").type == table(1).schema.field("meta").type
    wanted = {f"tres {n}": (n, "mine", table(1).column("meta")[0].as_py(), "cc0") for n in range(25)}
    columns = [found.column(name).to_pylist() for name in ("id", "input_perplexity", "meta", "licence")]
    assert 0 < len(found) < 25
    assert [wanted[text] for text in found.column("text").to_pylist()] == list(zip(*columns, strict=True))
    assert list(facts["columns"]["carried"]) == ["id", "input_perplexity", "meta", "licence"]


def test_every_part_has_the_same_columns_whatever_the_files_and_the_workers(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [rich(n) for n in range(5)])
    write_lines(tmp_path / "in" / "b.txt", ["cuatro", "cinco"])
    pq.write_table(table(3), tmp_path / "in" / "c.parquet")
    pq.write_table(pa.table({"text": ["seis"], "id": [1 << 40], "url": ["u"]}), tmp_path / "in" / "d.parquet")
    pq.write_table(pa.table({"text": ["siete"], "id": [["x"]]}), tmp_path / "in" / "e.parquet")
    out, _ = made(tmp_path)
    schemas = [pq.read_schema(path) for path in sorted(out.glob("part-*.parquet"))]
    assert len(schemas) == 5
    assert all(schema.equals(schemas[0]) for schema in schemas)
    found = {row["text"]: row for row in read(out).to_pylist()}
    assert found["uno 4"]["metadata"] == rest(4)
    assert (found["uno 4"]["id"], found["cuatro"]["id"], found["cuatro"]["metadata"]) == (None, None, None)
    assert [found[text]["id"] for text in ("tres 2", "seis", "siete")] == ["2", str(1 << 40), '["x"]']
    again, _ = made(tmp_path, workers=3, name="again")
    for part in out.glob("part-*"):
        assert part.read_bytes() == (again / part.name).read_bytes()


def test_named_columns_and_none(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [rich(n) for n in range(5)])
    out, facts = made(tmp_path, columns=("id", "meta", "text2"))
    found = read(out)
    assert found.column_names == [*USUAL, "id", "meta", "text2"]
    assert found.column("id").to_pylist() == ["0", "1", "2", "3", "4"]
    assert found.column("meta")[0].as_py() == '{"b": [1e5, "ñ"], "a": 2}'
    assert found.column("text2").null_count == 5
    assert facts["columns"]["left_out"] == ["license", "score", "n"]
    out, facts = made(tmp_path, columns="none", name="none")
    assert read(out).column_names == USUAL
    assert facts["columns"] == {"left_out": ["id", "license", "score", "meta", "n"]}
    assert "columns" not in manifest.read(out).made_from.settings


def test_a_column_that_no_parquet_file_has_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(table(2), tmp_path / "in" / "a.parquet")
    with pytest.raises(BadArgument, match=r"no input has 'lang'.* id, perplexity, meta, licence"):
        made(tmp_path, columns=("id", "lang"))


def test_fields_that_the_first_rows_lack_are_told_and_kept_on_demand(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [*(plain(n) for n in range(1000 - 1)), plain(0), rich(7)])
    write_scores(tmp_path / "scores", [str(tmp_path / "in" / "*")], {"a.jsonl": [1.0] * 1001}, {})
    settings = sample_settings("random", keep=1.0)
    given = [str(tmp_path / "in" / "*")], tmp_path / "scores"
    report = sample_stage(*given, tmp_path / "some", settings, Context())
    assert [line for line in report.warnings if "a.jsonl" in line and "--columns all" in line and "license" in line]
    sample(*given, tmp_path / "all", sample_settings("random", keep=1.0, columns="all"), RunnerSettings())
    assert read(tmp_path / "all").column("metadata").to_pylist()[-1] == rest(7)


def test_json_lines_get_their_fields_back(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [rich(n) for n in range(3)])
    pq.write_table(table(2), tmp_path / "in" / "b.parquet")
    out, facts = made(tmp_path, format="jsonl.gz")
    assert facts["columns"]["other_fields"]
    assert "metadata" not in facts["columns"]["carried"]  # there is no such column
    first, second = [gzip.decompress(path.read_bytes()).decode() for path in sorted(out.glob("part-*"))]
    line = first.splitlines()[1]
    assert line.endswith('"score":1.50,"n":12345678901234567890}')
    row = json.loads(line)
    assert {name: row[name] for name in ("license", "score")} == {"license": None, "score": 1.5}
    assert '"meta":{"b": [1e5, "ñ"], "a": 2}' in line
    assert (row["id"], row["input_perplexity"], row["perplexity"], row["timestamp"]) == (1, None, 2.0, None)
    of_parquet = json.loads(second.splitlines()[1])
    assert of_parquet["meta"] == {"when": "2020-01-02 00:00:00.000000", "tags": ["a", "b"]}
    assert (of_parquet["id"], of_parquet["input_perplexity"], of_parquet["licence"]) == (1, "mine", "cc0")


def test_a_value_that_is_not_utf8_is_null_or_replaced_and_costs_no_row(tmp_path):
    (tmp_path / "in").mkdir()
    bad = pa.array([b"a", b"\xff"]).view(pa.string())
    nested = pa.StructArray.from_arrays([bad], ["x"])
    pq.write_table(pa.table({"text": ["uno", "dos"], "bad": bad, "nested": nested}), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "b.jsonl").write_bytes(b'{"text": "tres", "x": "\xff", "y": "\\ud800"}\n')
    out, _ = made(tmp_path)
    found = {row["text"]: row for row in read(out).to_pylist()}
    assert [found[text]["bad"] for text in ("uno", "dos")] == ["a", None]
    assert [found[text]["nested"] for text in ("uno", "dos")] == [{"x": "a"}, None]
    assert json.loads(found["tres"]["metadata"]) == {"x": "\ufffd", "y": "\ud800"}
