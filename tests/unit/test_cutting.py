"""Where files are cut into items, near and far, and which rows the items begin with."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import msgspec
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFileSystem

from corpora import manifest
from corpora.documents.items import work_items
from corpora.manifest import MadeFrom
from pipelines import row_numbers
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Pass, run_stage
from tamiz.report.inputs import items_as_scored
from tests.property.test_cutting import bgzf_member, check, counted, damaged, rows, seek_table

TEXT = b"".join(b"line %d, which is of some length\n" % number for number in range(200))
PARTS = [TEXT[start : start + 450] for start in range(0, len(TEXT), 450)]  # lines go on in the next frame
FRAMES = [zstandard.ZstdCompressor(write_checksum=True).compress(part) for part in PARTS]
GZ, ZST = b"".join(map(bgzf_member, PARTS)), b"".join(FRAMES)


class NoRanges(MemoryFileSystem):  # type: ignore[misc]
    """As a web server that sends the whole file whatever part it is asked for."""

    protocol = "noranges"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def cat_file(self, path: str, **_: Any) -> bytes:
        return bytes(super().cat_file(path))


def write(address: str, data: bytes) -> None:
    with fsspec.open(address, "wb") as file:
        file.write(data)


def layout(path: str, item_bytes: int) -> list[tuple[int, int, str]]:
    return [(item.start, item.end, item.name) for item in work_items([path], item_bytes)]


def test_near_and_far_files_are_cut_alike(tmp_path: Path) -> None:
    """A remote file is cut where a look at a few places finds the borders; otherwise it is one item."""
    fsspec.register_implementation("noranges", NoRanges, clobber=True)
    seekable = ZST + seek_table(FRAMES)
    for name, data, far, refused in (
        ("x.txt", TEXT, True, False),
        ("seekable.txt.zst", seekable, True, False),
        ("x.txt.zst", ZST, False, False),
        ("x.txt.gz", GZ, False, False),
    ):
        (tmp_path / name).write_bytes(data)
        near = layout(str(tmp_path / name), 150)
        assert len(near) > 5
        assert [end for _, end, _ in near[:-1]] == [start for start, _, _ in near[1:]]
        for scheme, parts in (("memory", far), ("noranges", refused)):
            address = f"{scheme}://cutting/{name}"
            write(address, data)
            assert layout(address, 150) == (near if parts else [(0, len(data), name)])
            check(address, 150)


def test_small_reads_find_the_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each border, and never the whole file."""
    asked: list[int] = []
    cat = MemoryFileSystem.cat_file

    def counting(self: Any, path: str, start: int, end: int) -> Any:
        asked.append(end - start)
        return cat(self, path, start=start, end=end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counting)
    fsspec.filesystem("memory").pipe("/cutting/big.txt", TEXT * 1000)
    items = work_items(["memory://cutting/big.txt"], 1 << 20)
    assert len(items) == 7
    assert asked == [65536] * 6
    assert [item.first_row for item in items] == [0, *[None] * 6]


@pytest.mark.parametrize(("name", "data"), [("x.txt.zst", ZST), ("x.txt.gz", GZ)])
def test_only_what_is_before_damage_is_read(tmp_path: Path, name: str, data: bytes) -> None:
    """As in a file that is read as a whole; wherever it is, and whatever is behind it."""
    for place in range(120, len(data), 97):
        for broken in (data[:place], data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]):
            (tmp_path / name).write_bytes(broken)
            check(str(tmp_path / name), 150)


def test_other_gzip_files_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(b"".join(map(gzip.compress, PARTS)))
    assert len(layout(f"{tmp_path}/x.txt.gz", 150)) == 1
    (tmp_path / "x.txt.gz").write_bytes(GZ + gzip.compress(TEXT))
    assert len(check(f"{tmp_path}/x.txt.gz", 150)) > 5


def test_a_seek_table_that_lies_is_not_used(tmp_path: Path) -> None:
    swapped = FRAMES[1:] + FRAMES[:1]
    assert list(map(len, swapped)) != list(map(len, FRAMES))
    for address in ("memory://cutting/lie.txt.zst", f"{tmp_path}/lie.txt.zst"):
        write(address, ZST + seek_table(swapped))
        assert len(check(address, 150)) == 1


class RowsWork:
    """Keeps the rows that it is given."""

    fingerprint = "f"

    def __init__(self, out: str) -> None:
        self.out = out

    def __call__(self, item: Any) -> ItemResult:
        with ItemReader(self.out, item) as reader:
            found = [int(row) for batch in reader.batches() for row in batch.rows]
        return reader.result(kept=len(found), facts={"rows": found, "counted": item.first_row is not None})


@pytest.mark.parametrize("few", [0, 1 << 20])
def test_a_stage_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(row_numbers, "FEW", few)
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "b.txt.zst").write_bytes(ZST)
    (tmp_path / "c.txt").write_bytes(b"short\n")
    items = work_items([f"{tmp_path}/*.txt*"], 500)
    out, found = tmp_path / "out", []
    made_from = MadeFrom(stage="rows", algorithm=1, settings={}, inputs=input_identities(items, out))

    def finish(results: list[ItemResult]) -> Finish:
        found.extend(results)
        return Finish()

    run_stage(out, made_from, [Pass(RowsWork(str(out)), items)], RunnerSettings(), finish=finish)
    by_file: dict[str, list[int]] = {}
    for item, result in zip(items, found, strict=True):
        assert result.facts["counted"]
        by_file.setdefault(item.input_name, []).extend(result.facts["rows"])
    assert by_file == {"a.txt": list(range(200)), "b.txt.zst": list(range(200)), "c.txt": [0]}
    assert manifest.read(out).counts["read"] == 401


def test_lines_that_were_only_counted_are_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended before it made anything leaves its folder to one with other settings."""
    monkeypatch.setattr(row_numbers, "FEW", 0)
    (tmp_path / "a.txt").write_bytes(TEXT)
    items, out = work_items([f"{tmp_path}/a.txt"], 500), tmp_path / "out"
    made_from = MadeFrom(stage="rows", algorithm=1, settings={"a": 1}, inputs=input_identities(items, out))
    manifest.begin(out, made_from)
    row_numbers.with_rows(items, out, RunnerSettings())
    assert list((out / manifest.PROGRESS).rglob("*.json"))
    assert (
        manifest.begin(out, MadeFrom(stage="rows", algorithm=1, settings={"a": 2}, inputs=made_from.inputs)) == "new"
    )


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    """What is behind its new end has no rows; the file is damaged, and so is each part that isn't read."""
    path = tmp_path / "x.txt"
    path.write_bytes(TEXT)
    items = work_items([str(path)], 500)
    path.write_bytes(TEXT[:1700])
    assert rows(counted(items)) == rows(items)
    assert [row for row, *_ in rows(items)] == list(range(TEXT[:1700].count(b"\n")))
    assert [damaged([item]) for item in counted(items)] == [number > 2 for number in range(len(items))]


@pytest.mark.parametrize("ending", ["gz", "zst", "xz", "bz2"])
def test_one_line_says_how_to_cut_large_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    """The command that it names makes a file that is cut."""
    if not all(map(shutil.which, ("zstd", "split", "xz", "bzip2"))):
        pytest.skip("needs zstd, split, xz and bzip2")
    monkeypatch.setattr("corpora.documents.items.LARGE", 500)
    monkeypatch.setattr("corpora.documents.uncut._FRAME", "1000")
    text = b"".join(b"%d\n" % number**9 for number in range(1000))
    path = tmp_path / f"a b.txt.{ending}"
    path.write_bytes(
        {"gz": gzip.compress, "zst": zstandard.compress, "xz": lzma.compress, "bz2": bz2.compress}[ending](text)
    )
    (tmp_path / f"c.txt.{ending}").write_bytes(path.read_bytes()[:-1])
    work_items([f"{tmp_path}/*"], 500)
    work_items([f"{tmp_path}/*"], 600)
    (said,) = [record.message for record in caplog.records if str(tmp_path) in record.message]
    assert said.startswith("2 files of more than 1 GB can't be cut: each is one item")
    folder = tmp_path / "frames"
    folder.mkdir()
    subprocess.run(said.rpartition("frames: ")[2], shell=True, check=True, cwd=folder)
    (made,) = folder.iterdir()
    assert made.name == ("frames-a b.txt.zst" if ending == "zst" else "a b.txt.zst")
    items = work_items([str(made)], 500)
    assert len(items) > 5
    assert [row for row, *_ in rows(items)] == list(range(1000))


def test_what_is_said_of_other_large_files(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.documents.items.LARGE", 500)
    write("memory://cutting/said/x.txt.gz", gzip.compress(os.urandom(600)))
    write("memory://cutting/said/y.csv", b"text\n" + b"a\n" * 300)
    work_items(["memory://cutting/said/x.*"], 500)
    work_items(["memory://cutting/said/y.*"], 500)
    assert [record.message.rpartition("workers, ")[2] for record in caplog.records] == [
        "store it as several files, uncompressed, or as Parquet",
        "make several files of it, or JSON lines or Parquet",
    ]


def test_folders_made_when_a_file_was_one_item_are_refused(tmp_path: Path) -> None:
    """Its items, and so the names of outputs, are others now."""
    (tmp_path / "x.txt.zst").write_bytes(ZST)
    (tmp_path / "y.txt").write_bytes(TEXT)
    cut, whole = (
        {i.name: i for i in input_identities(work_items([f"{tmp_path}/*.*"], size), tmp_path)} for size in (500, 9999)
    )
    assert whole["x.txt.zst"].reading is msgspec.UNSET
    assert cut["x.txt.zst"].reading == {"cut": "at frames"}
    assert cut["y.txt"] == whole["y.txt"]
    write("memory://cutting/z.txt", TEXT)
    (far,) = input_identities(work_items(["memory://cutting/z.txt"], 500), tmp_path)
    assert far.reading == {"cut": "at lines"}
    made_from = MadeFrom(stage="score", algorithm=1, settings={"item_bytes": 500}, inputs=[*cut.values()])
    assert len(items_as_scored(f"{tmp_path}/*.*", made_from)) == len(work_items([f"{tmp_path}/*.*"], 500)) > 10
