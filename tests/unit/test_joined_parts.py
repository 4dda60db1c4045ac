"""Samples whose parts are joined: the same rows in the same order, in fewer files, wherever the run is killed."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpora import manifest
from corpora.documents.carried import CarriedColumn
from corpora.documents.items import work_items
from corpora.documents.joined import join_documents, joined_parts
from corpora.documents.reading import read_batches, read_carrying
from corpora.documents.sources import DocumentSource
from corpora.documents.writing import FORMATS, DocumentWriter
from corpora.errors import DamagedFile, StaleOutput, TamizError
from corpora.sampling.methods import sample_settings
from pipelines.once import ItemResult
from pipelines.sample import sample
from pipelines.sample_facts import null_in_the_first_part
from pipelines.settings import RunnerSettings
from tamiz.report.folders import find
from tamiz.report.rows import item_rows
from tamiz.verify import verify
from tests import warm
from tests.command import tamiz
from tests.conftest import digests
from tests.make_scores import documents, write_scored, write_scores

ROOT = Path(__file__).resolve().parents[2]
HERE = RunnerSettings()
ITEMS = 7
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """Seven files of 0 to 60 documents, one with a bad line; scored."""
    folder, rng = tmp_path_factory.mktemp("scored"), random.Random(3)
    files = {f"{'ab'[n > 2]}-{n}.jsonl": documents(rng, f"d{n}", 10 * n, 60.0) for n in range(ITEMS)}
    write_scored(folder, files)
    return folder


def run(
    scored: Path, out: Path, workers: int = 1, inputs: Any = None, progress: Any = None, **settings: Any
) -> manifest.Manifest:
    chosen = sample_settings(**{"keep": 0.5, "width": 2 / 9, **settings})
    found = inputs or [str(scored / "in" / "*")]
    return sample(found, scored / "scores", out, chosen, RunnerSettings(workers=workers), progress=progress).manifest


def rows(folder: Path) -> list[Row]:
    """All rows of the parts, in the order of their names."""
    columns = ("perplexity", "keep_probability")
    batches = [b for item in work_items([str(folder / "part-*")]) for b in read_batches(item, columns=columns)]
    return [
        row
        for b in batches
        for row in zip(b.texts, b.timestamps, b.urls, *(b.extra[name] for name in columns), strict=True)
    ]


@pytest.mark.parametrize("format", list(FORMATS))
def test_the_same_rows_in_fewer_files_with_any_number_of_workers(scored, tmp_path, format):
    plain = run(scored, tmp_path / "plain", format=format)
    joined = run(scored, tmp_path / "joined", format=format, part_bytes=6_000)
    run(scored, tmp_path / "three", workers=3, format=format, part_bytes=6_000)
    parts = joined.facts["parts"]
    assert 1 < len(joined.files) < len(plain.files) == ITEMS
    assert [record.path for record in joined.files] == [part["file"] for part in parts]
    assert [name for part in parts for name in part["items"]] == [item["name"] for item in plain.items]
    assert all(record.bytes <= 6_000 for record in joined.files)
    assert digests(tmp_path / "joined") == digests(tmp_path / "three")
    assert rows(tmp_path / "joined") == rows(tmp_path / "plain")
    assert len(rows(tmp_path / "plain")) == plain.counts["kept"]
    assert (joined.counts, joined.items) == (plain.counts, plain.items)
    assert verify(tmp_path / "joined")[1] == []


def test_a_byte_gives_each_item_its_part_and_many_give_one(scored, tmp_path):
    plain = run(scored, tmp_path / "plain")
    told: list[tuple[int, int]] = []
    run(scored, tmp_path / "tiny", part_bytes=1, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    one = run(scored, tmp_path / "one", part_bytes=1 << 40)
    assert digests(tmp_path / "tiny") == digests(tmp_path / "plain")
    assert [record.rows for record in one.files] == [plain.counts["kept"]]
    assert all(item["read"] == item["kept"] + item.get("sampled_out", 0) for item in one.items)
    assert rows(tmp_path / "one") == rows(tmp_path / "plain")
    assert not (tmp_path / "one" / manifest.PROGRESS).exists()


def test_without_it_fingerprints_are_as_before(scored, tmp_path):
    plain = run(scored, tmp_path / "plain")
    assert not {"part_bytes", "part_sources"} & plain.made_from.settings.keys()
    assert "parts" not in plain.facts
    with pytest.raises(StaleOutput, match="part_bytes"):
        run(scored, tmp_path / "plain", part_bytes=1)


def test_no_part_spans_two_named_sources(tmp_path):
    """The names are in the fingerprint: the same items, without named sources, have other borders."""
    made = {f"{a}/{b}.jsonl": documents(random.Random(b), a, 9, 50.0) for a in "ab" for b in "xy"}
    for name, listed in made.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"text": row.text, "url": row.url}) for row in listed]
        (tmp_path / "in" / name).write_text("\n".join(lines))
    perplexities = {name.replace("/", "__"): [row.perplexity for row in listed] for name, listed in made.items()}
    plain = [str(tmp_path / "in" / "*" / "*")]
    named = [DocumentSource(input=str(tmp_path / "in" / name / "*"), name=name) for name in "ab"]
    write_scores(tmp_path / "scores", plain, perplexities, {})
    one = run(tmp_path, tmp_path / "one", inputs=plain, part_bytes=1 << 30)
    two = run(tmp_path, tmp_path / "two", inputs=named, part_bytes=1 << 30)
    assert [part["items"] for part in one.facts["parts"]] == [
        ["a__x.jsonl", "a__y.jsonl", "b__x.jsonl", "b__y.jsonl"]
    ]
    assert [part["items"] for part in two.facts["parts"]] == [
        ["a__x.jsonl", "a__y.jsonl"],
        ["b__x.jsonl", "b__y.jsonl"],
    ]
    assert one.fingerprint != two.fingerprint
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize("bounds", [(60, 1 << 30), (10_000, 900), (7, 40)])
def test_joined_bytes_are_those_of_one_writer(tmp_path, monkeypatch, format, bounds):
    """Whatever the cuts: also of a file without rows, and with columns that the sample carries."""
    monkeypatch.setattr("corpora.documents.writing.GROUP_ROWS", bounds[0])
    monkeypatch.setattr("corpora.documents.writing.GROUP_CHARACTERS", bounds[1])
    lines = [json.dumps({"text": f"texto {n} ñ" * (n % 9 + 1), "id": n % 5, "lang": "es"}) for n in range(250)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    carried = (CarriedColumn("id", "id", pa.string()), CarriedColumn("tags", "tags", pa.list_(pa.int32())))
    (item,) = work_items([str(tmp_path / "in.jsonl")])
    (batch,) = read_carrying(item, carried[:1] if format == "parquet" else ())
    columns, held = {"bucket": "string"}, carried[:1] if format == "parquet" else ()

    def write(path: Path, begin: int, end: int) -> Path:
        with DocumentWriter(path, format, columns, held) as writer:
            places = np.arange(begin, end)
            values = np.arange(250)[begin:end] / 7
            cut = slice(begin, end)
            more = {"carried": batch.carried, "places": places} if held else {}
            bucket = [f"b{n % 3}" for n in places]
            writer.write(batch.texts[cut], batch.timestamps[cut], batch.urls[cut], values, values, bucket, **more)
        return path

    whole = write(tmp_path / f"whole.{format}", 0, 250)
    cuts = [0, 1, 40, 40, 41, 133, 250, 250]
    files = [write(tmp_path / f"{n}.{format}", cuts[n], cuts[n + 1]) for n in range(len(cuts) - 1)]
    assert join_documents(files, tmp_path / f"joined.{format}", format, columns, held).rows == 250
    assert (tmp_path / f"joined.{format}").read_bytes() == whole.read_bytes()


def test_groups_are_of_one_source_and_at_most_so_many_bytes():
    rng = random.Random(0)
    for _ in range(200):
        sizes = [rng.choice([0, 1, rng.randrange(1, 99)]) for _ in range(rng.randrange(0, 30))]
        sources = sorted(rng.choices("abc", k=len(sizes)))
        most = rng.randrange(1, 150)
        parts = joined_parts(sizes, sources, most)
        assert [item for part in parts for item in part.items] == list(range(len(sizes)))
        assert [part.number for part in parts] == list(range(len(parts)))
        for part, following in itertools.zip_longest(parts, parts[1:]):
            held = sum(sizes[item] for item in part.items)
            assert part.bytes == held
            assert held <= most or len(part.items) == 1
            assert len({sources[item] for item in part.items}) == 1
            if following and sources[following.first] == sources[part.first]:
                assert held + sizes[following.first] > most


KILLED = """
import os, signal, sys
from pathlib import Path
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.settings import RunnerSettings

home, out, points = Path(sys.argv[1]), Path(sys.argv[2]), map(int, sys.argv[3:])
rename = Path.replace

def run(point):
    done = [0]
    def killed(path, target):
        if target.parents[1].name in ("totals", ".progress"):  # what items count, and the list of the units
            return rename(path, target)
        done[0] += 1
        if done[0] == abs(point) and point < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        found = rename(path, target)
        if done[0] == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    Path.replace = killed
    settings = sample_settings(keep=0.5, width=2 / 9, part_bytes=6_000)
    sample([str(home / "in" / "*")], home / "scores", out / str(point), settings, RunnerSettings())
    os._exit(0)

for point in points:
    child = os.fork()  # this process has no threads: the children run Beam
    if not child:
        run(point)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_killed_anywhere_it_continues_to_the_same_bytes(scored, tmp_path, monkeypatch):
    """Files are renamed after the manifest was made: 7 item parts and notes, parts and their notes, 1 manifest."""
    whole = run(scored, tmp_path / "whole", part_bytes=6_000)
    between, last = 2 * ITEMS, 1 + 2 * ITEMS + 2 * len(whole.files)
    points = [7, between, -between - 1, between + 1, -last]
    done = warm.run(["-c", KILLED, scored, tmp_path, *points], cwd=ROOT)
    assert done.stdout.split() == ["-9"] * len(points), done.stderr
    shutil.copytree(tmp_path / str(between), tmp_path / "other")
    for point in points:
        out = tmp_path / str(point)
        assert not manifest.read(out).finished
        assert run(scored, out, part_bytes=6_000).facts == whole.facts
        assert digests(out) == digests(tmp_path / "whole")
        assert verify(out)[1] == []
    monkeypatch.setattr("pipelines.sample.DocumentWriter", None)  # with another size, the items' parts are used again
    other = run(scored, tmp_path / "other", part_bytes=1 << 30)
    assert [(record.path, record.rows) for record in other.files] == [("part-00000.parquet", other.counts["kept"])]
    assert rows(tmp_path / "other") == rows(tmp_path / "whole")


def test_pages_see_the_rows_that_the_sample_kept(scored, tmp_path):
    run(scored, tmp_path / "plain")
    run(scored, tmp_path / "joined", part_bytes=6_000)
    found = [item_rows(find(tmp_path / name, scored / "scores")) for name in ("plain", "joined")]
    for one, other in zip(*found, strict=True):
        assert (one.item, one.kept.tolist()) == (other.item, other.kept.tolist())
        assert one.kept.any() or len(one.kept) == 0


def test_a_part_that_is_damaged_or_lists_other_items_is_told(scored, tmp_path):
    out = tmp_path / "joined"
    content = run(scored, out, part_bytes=6_000)
    parts = content.facts["parts"]
    parts[0]["items"], parts[1]["items"] = parts[0]["items"][:-1], [parts[0]["items"][-1], *parts[1]["items"]]
    manifest.write(out, content)
    assert any("part-00000.parquet* have" in line for line in verify(out)[1])
    with pytest.raises(DamagedFile, match="unlike its manifest"):
        list(item_rows(find(out, scored / "scores")))
    del parts[1]["items"][0]
    manifest.write(out, content)
    assert any("in none of the parts" in line for line in verify(out)[1])
    with pytest.raises(DamagedFile, match="hold other items"):
        list(item_rows(find(out, scored / "scores")))
    content.facts["parts"] = [{"file": 3}]
    manifest.write(out, content)
    assert any("facts.parts" in line for line in verify(out)[1])


@pytest.mark.parametrize("format", list(FORMATS))
def test_an_item_part_that_is_cut_short_is_one_line(tmp_path, format):
    with DocumentWriter(tmp_path / f"a.{format}", format) as writer:
        writer.write(["texto " * 1000], [None], [None], [1.0], [1.0])
    whole = (tmp_path / f"a.{format}").read_bytes()
    (tmp_path / f"a.{format}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TamizError, match=r"a\.\S+ can't be read \(.+\): run the command again"):
        join_documents([tmp_path / f"a.{format}"], tmp_path / f"b.{format}", format)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{format}"]


def test_the_first_part_with_documents_tells_types():
    def result(number: int, kept: int, given: list[str]) -> ItemResult:
        return ItemResult(name=str(number), number=number, read=kept, kept=kept, facts={"given": given})

    results = [result(0, 0, []), result(1, 5, []), result(2, 5, ["url"]), result(3, 5, ["timestamp"])]
    assert null_in_the_first_part(results) == ["timestamp", "url"]
    assert null_in_the_first_part(results, joined_parts([1] * 4, "aaaa", 3)) == ["timestamp"]
    assert null_in_the_first_part(results, joined_parts([1] * 4, "aaaa", 4)) == []


def test_the_flag(scored, tmp_path, capsys):
    command = ["sample", "--input", scored / "in" / "*", "--scores", scored / "scores", "--keep", 0.5]
    code, _, errors = tamiz(capsys, *command, "--out", tmp_path / "out", "--part-bytes", 0)
    assert code == 2
    assert errors.strip() == "error: part-bytes is 0; it must be at least 1, such as 268435456 (256 MiB)"
    assert not (tmp_path / "out").exists()
    assert tamiz(capsys, *command, "--out", tmp_path / "out", "--part-bytes", 1 << 20)[0] == 0
    assert [path.name for path in (tmp_path / "out").glob("part-*")] == ["part-00000.parquet"]
