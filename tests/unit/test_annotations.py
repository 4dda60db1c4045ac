"""Annotations joined by a sample: what drops documents, what names languages, what is carried on, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipelines
from corpora import manifest
from corpora.annotations.annotator import Annotator
from corpora.annotations.columns import AnnotationColumns
from corpora.documents.batches import DocumentBatch, RejectedRow
from corpora.documents.items import work_items
from corpora.errors import BadArgument, DamagedFile, StaleOutput, TamizError
from corpora.sampling.methods import sample_settings
from corpora.verify import verify
from pipelines.annotate import annotate
from pipelines.items import ItemReader
from pipelines.sample import sample
from pipelines.settings import RunnerSettings
from tests.make_scores import Scored, sampled, write_scored

HERE = RunnerSettings()
ITEM_BYTES = 3_000
NUMBER = 600


class Stated(Annotator, frozen=True, kw_only=True, tag="stated"):
    """What the text itself says: `number language`; every third number is not to be kept."""

    schema: ClassVar[Mapping[str, str]] = {"number": "int64", "keep": "bool", "language": "string", "half": "float64"}
    counted: ClassVar[Mapping[str, str]] = {"languages": "language"}

    def annotate(self, batch: DocumentBatch) -> dict[str, Any]:
        numbers, languages = zip(*(text.split() for text in batch.texts), strict=True)
        number = np.array(numbers, np.int64)
        keep = [None if n % 5 == 0 else bool(n % 3) for n in number.tolist()]
        half = np.where(number % 2 == 0, number / 2, np.nan)
        return {"number": number, "keep": keep, "language": list(languages), "half": half}


class Listed(Annotator, frozen=True, kw_only=True, tag="listed"):
    """Drops the texts that a file lists."""

    schema: ClassVar[Mapping[str, str]] = {"keep": "bool"}
    path: str

    @property
    def files(self) -> Mapping[str, str]:
        return {"path": self.path}

    def load(self):
        listed = set(Path(self.path).read_text().splitlines())
        return lambda batch, _: {"keep": np.array([text not in listed for text in batch.texts])}


def document(n: int) -> Scored:
    return Scored(f"{n} {'es' if n % 4 else 'pt'}", f"https://a.invalid/{n}", 50.0 + n % 97)


@pytest.fixture
def patterns(tmp_path: Path) -> list[str]:
    files = {f"{name}.jsonl": [document(3 * n + k) for n in range(NUMBER // 3)] for k, name in enumerate("abc")}
    return write_scored(tmp_path, files, item_bytes=ITEM_BYTES)[0]


def stated(folder: Path, patterns: list[str], item_bytes: int = ITEM_BYTES, name: str = "stated") -> Path:
    annotate(patterns, Stated(), folder / name, HERE, item_bytes=item_bytes)
    return folder / name


def drawn(folder: Path, patterns: list[str], annotations: Sequence[Path], name: str = "out", **settings: Any):
    chosen = sample_settings(**{"method": "random", "keep": 1.0, **settings})
    return sample(patterns, folder / "scores", folder / name, chosen, HERE, annotations=annotations)


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(sorted(folder.glob("part-*.parquet"))).to_pylist()
    return found


def test_documents_are_dropped_routed_and_carry_columns(patterns, tmp_path):
    folder = stated(tmp_path, patterns)
    assert manifest.read(folder).facts["languages"] == {"es": 450, "pt": 150}
    outcome = drawn(tmp_path, patterns, [folder])
    found = rows(tmp_path / "out")
    kept = [n for n in range(NUMBER) if n % 5 == 0 or n % 3]
    assert sorted(row["number"] for row in found) == kept
    assert all(row["text"].startswith(f"{row['number']} ") for row in found)
    assert {(row["half"] is None) == (row["number"] % 2 == 1) for row in found} == {True}
    assert all(row["half"] in (None, row["number"] / 2) for row in found)
    types = pq.read_schema(next((tmp_path / "out").glob("part-*.parquet")))
    assert (types.field("number").type, types.field("half").type) == (pa.int64(), pa.float64())
    content = outcome.manifest
    assert content.counts == {
        "read": NUMBER, "kept": len(kept), "sampled_out": NUMBER - len(kept), "rejected": {}
    }  # fmt: skip
    assert [(a["annotator"], a["dropped"]) for a in content.facts["annotations"]] == [("stated", NUMBER - len(kept))]
    assert {name: group["documents"] for name, group in content.facts["groups"].items()} == {
        "es": sum(n % 4 != 0 for n in kept),
        "pt": sum(n % 4 == 0 for n in kept),
    }
    assert verify(tmp_path / "out")[1] == []


def test_ratios_are_of_the_documents_that_no_annotation_drops(patterns, tmp_path):
    outcome = drawn(
        tmp_path, patterns, [stated(tmp_path, patterns)], method="gaussian", keep=None, keep_documents=100
    )
    facts = outcome.manifest.facts
    assert facts["scored"] == sum(n % 5 == 0 or n % 3 != 0 for n in range(NUMBER))
    assert abs(facts["expected_share"] * facts["scored"] - 100) < 0.1


def test_lines_carry_columns(patterns, tmp_path):
    drawn(tmp_path, patterns, [stated(tmp_path, patterns)], format="jsonl.gz")
    lines = [
        json.loads(s)
        for path in (tmp_path / "out").glob("*.gz")
        for s in gzip.decompress(path.read_bytes()).splitlines()
    ]
    assert {type(line["number"]) for line in lines} == {int}
    assert {type(line["half"]) for line in lines} == {float, type(None)}


def test_scores_name_the_language_first(tmp_path):
    files = {"a.jsonl": [document(n) for n in range(40)], "b.jsonl": [document(n) for n in range(40, 80)]}
    patterns, _ = write_scored(tmp_path, files, {"a.jsonl": "gl"}, item_bytes=ITEM_BYTES)
    facts = drawn(tmp_path, patterns, [stated(tmp_path, patterns)]).manifest.facts
    assert sorted(facts["groups"]) == ["es", "gl", "pt"]


def test_several_folders_drop_together(patterns, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("1 es\n4 pt\n3 es\n")
    annotate(patterns, Listed(path=str(listed)), tmp_path / "listed", HERE, item_bytes=ITEM_BYTES)
    facts = manifest.read(tmp_path / "listed").made_from.settings
    assert facts["path_sha256"] == hashlib.sha256(listed.read_bytes()).hexdigest()
    assert "path" not in facts
    outcome = drawn(tmp_path, patterns, [stated(tmp_path, patterns), tmp_path / "listed"])
    assert {1, 3, 4}.isdisjoint(row["number"] for row in rows(tmp_path / "out"))
    assert [a["dropped"] for a in outcome.manifest.facts["annotations"]] == [160, 3]
    listed.write_text("1 es\n")
    with pytest.raises(StaleOutput, match="path_sha256"):
        annotate(patterns, Listed(path=str(listed)), tmp_path / "listed", HERE, item_bytes=ITEM_BYTES)


def test_a_sample_without_annotations_is_as_before(patterns, tmp_path):
    """Fingerprint and columns don't know of annotations that aren't given."""
    out = sampled(tmp_path, patterns)
    settings = manifest.read(out).made_from.settings
    assert "annotations" not in settings
    assert pq.read_schema(next(out.glob("part-*.parquet"))).names == [
        "text",
        "timestamp",
        "url",
        "perplexity",
        "keep_probability",
    ]
    with pytest.raises(StaleOutput, match="annotations"):
        sample(
            patterns,
            tmp_path / "scores",
            out,
            sample_settings(keep=0.4, width=2 / 9),
            HERE,
            annotations=[stated(tmp_path, patterns)],
        )


def test_folders_that_do_not_belong_are_refused_before_any_work(patterns, tmp_path):
    other_items = stated(tmp_path, patterns, 1 << 20, "whole")
    with pytest.raises(StaleOutput, match="item_bytes 1048576, but the scores with 3000"):
        drawn(tmp_path, patterns, [other_items])
    part = stated(tmp_path, [str(tmp_path / "in" / "a.jsonl")], name="part")
    with pytest.raises(
        StaleOutput, match=r"part was made from a\.jsonl, not from b\.jsonl: name the folder .*, or annotate"
    ):
        drawn(tmp_path, patterns, [part])
    with pytest.raises(DamagedFile, match="holds the output of 'score', not annotations"):
        drawn(tmp_path, patterns, [tmp_path / "scores"])
    folder = stated(tmp_path, patterns)
    with pytest.raises(BadArgument, match="both have a column 'number'"):
        drawn(tmp_path, patterns, [folder, folder])
    content = manifest.read(folder)
    content.finished = False
    manifest.write(folder, content)
    with pytest.raises(DamagedFile, match="is unfinished"):
        drawn(tmp_path, patterns, [folder])
    assert not (tmp_path / "out").exists()


def test_rows_that_do_not_match_are_refused(patterns, tmp_path):
    folder = stated(tmp_path, patterns)
    path = sorted(folder.glob("*.parquet"))[0]
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(
        DamagedFile, match=rf"{path.name} has {len(table) - 1} rows, but the scores have {len(table)}"
    ):
        drawn(tmp_path, patterns, [folder])
    path.write_bytes(b"PAR1")
    with pytest.raises(DamagedFile, match=rf"{path.name} can't be read"):
        drawn(tmp_path, patterns, [folder])


class Wrong(Annotator, frozen=True, kw_only=True, tag="wrong"):
    schema: ClassVar[Mapping[str, str]] = {"n": "int32"}
    values: str

    def annotate(self, batch: DocumentBatch) -> dict[str, Any]:
        number = len(batch.texts)
        return {
            "short": {"n": [1] * (number - 1)},
            "type": {"n": ["one"] * number},
            "name": {"m": [1] * number},
            "reasons": {"n": [1] * number, "rejected": ["bad"]},
        }[self.values]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("short", "column n has .* values for"),
        ("type", "column n must be int32"),
        ("name", "the annotator returned the columns m; its schema says n"),
        ("reasons", "rejected has 1 values for"),
    ],
)
def test_an_annotator_that_is_wrong_is_named(patterns, tmp_path, values, message):
    with pytest.raises(TamizError, match=f"the annotator wrong failed on .*{message}"):
        annotate(patterns, Wrong(values=values), tmp_path / "out", HERE)


class Untyped(Annotator, frozen=True, kw_only=True, tag="untyped"):
    schema: ClassVar[Mapping[str, str]] = {}


class Keeps(Annotator, frozen=True, kw_only=True, tag="keeps"):
    schema: ClassVar[Mapping[str, str]] = {"keep": "int8"}


class Odd(Annotator, frozen=True, kw_only=True, tag="odd"):
    schema: ClassVar[Mapping[str, str]] = {"n": "number"}


@pytest.mark.parametrize(
    ("annotator", "message"),
    [
        (Untyped(), "columns are none"),
        (Keeps(), "column keep has the type 'int8'; `tamiz sample` needs bool"),
        (Odd(), "column n has the type 'number'"),
        (Listed(path="no/such"), "path is no/such: no such file"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(patterns, tmp_path, annotator, message):
    with pytest.raises(BadArgument, match=message):
        annotate(patterns, annotator, tmp_path / "out", HERE)
    assert not (tmp_path / "out").exists()


def test_columns_are_written_in_input_order_however_they_come(tmp_path):
    columns = AnnotationColumns({"n": "int32", "s": "string"})
    columns.add(np.array([4, 1], np.int32), {"n": np.ma.masked_array([40, 0], [False, True]), "s": ["x", None]})
    columns.add_null([3, 0])
    columns.add(np.array([2, 5]), {"n": [20, 50], "s": pa.array(["y", "z"])}, null=np.array([True, False]))
    assert columns.counts("s") == {"x": 1, "z": 1}
    assert columns.write(tmp_path / "a.parquet").rows == 6
    found = pq.read_table(tmp_path / "a.parquet")
    assert found.schema.types == [pa.int32(), pa.int32(), pa.string()]
    assert found.to_pydict() == {
        "row": [0, 1, 2, 3, 4, 5],
        "n": [None, None, None, None, 40, 50],
        "s": [None, None, None, None, "x", "z"],
    }
    assert AnnotationColumns({"n": "int32"}).write(tmp_path / "none.parquet").rows == 0


def test_what_pipelines_exports_is_there():
    for name in pipelines.__all__:
        assert getattr(pipelines, name) is not None
    for stage in ("Annotate", "Score", "Sample", "Shard", "Evaluate"):
        assert f"{stage}Work" in pipelines.__all__


def test_rejected_rows_are_listed_by_row_whoever_rejects_them(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\nbroken\n{"text": "b"}\n')
    (item,) = work_items([str(tmp_path / "a.jsonl")])
    with ItemReader(tmp_path / "out", item) as reader:
        for _ in reader.batches():
            reader.reject([RejectedRow(item.path, row, "short", b"") for row in (2, 0)])
    lines = (tmp_path / "out" / "rejected" / "a.jsonl.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [0, 1, 2]
    assert reader.result(kept=0).rejected == {"not JSON": 1, "short": 2}
