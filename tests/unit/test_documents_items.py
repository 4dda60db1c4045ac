"""Patterns -> work items: what is named, how it is split, what is refused."""

from __future__ import annotations

import glob
import gzip
import pickle
from pathlib import Path

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.documents.row_numbers import located
from corpora.errors import BadArgument, TamizError


def write(path: Path, data: bytes = b'{"text":"a"}\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parquet(path: Path, rows: int, group: int) -> Path:
    table = pa.table({"text": [f"document {row}" for row in range(rows)]})
    pq.write_table(table, path, row_group_size=group)
    return path


def rows_of(item: WorkItem) -> list[tuple[int, str]]:
    return [
        (int(row), text) for found in read_batches(item) for row, text in zip(found.rows, found.texts, strict=True)
    ]


def test_names_are_relative_to_the_fixed_prefix(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.jsonl")
    write(tmp_path / "a" / "deep" / "er" / "y.json.gz", gzip.compress(b'{"text":"a"}\n'))
    items = work_items([f"{tmp_path}/a/**/*.json*"])
    assert [item.name for item in items] == ["deep__er__y.json.gz", "x.jsonl"]
    assert [item.number for item in items] == [0, 1]
    assert [(item.format, item.compression) for item in items] == [("jsonl", "gz"), ("jsonl", "")]


def test_relative_patterns_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.txt", b"a\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for pattern in ("*.txt", "x.txt", "./x.t*", "~/x.txt", f"file://{tmp_path}/*.txt"):
        (item,) = work_items([pattern])
        assert item.name == "x.txt"
        assert rows_of(item) == [(0, "a")]


def test_items_are_small_hashable_and_picklable(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl")
    (item,) = work_items([f"{tmp_path}/x.jsonl"])
    assert pickle.loads(pickle.dumps(item)) == item
    assert len({item, msgspec.structs.replace(item)}) == 1
    assert len(pickle.dumps(item)) < 1000
    status = (tmp_path / "x.jsonl").stat()
    assert (item.size, item.mtime_ns, item.etag) == (status.st_size, status.st_mtime_ns, None)


def test_overlapping_patterns_name_a_file_once(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl")
    write(tmp_path / "y.jsonl")
    (tmp_path / "z.jsonl").symlink_to(tmp_path / "x.jsonl")
    items = work_items([f"{tmp_path}/x*", f"{tmp_path}/*.jsonl", f"{tmp_path}/../{tmp_path.name}/y.jsonl"])
    assert [item.name for item in items] == ["x.jsonl", "y.jsonl"]


def test_name_collisions_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.jsonl")
    write(tmp_path / "b" / "x.jsonl")
    with pytest.raises(BadArgument, match=r"both be written as x\.jsonl"):
        work_items([f"{tmp_path}/a/*.jsonl", f"{tmp_path}/b/*.jsonl"])
    assert [i.name for i in work_items([f"{tmp_path}/*/*.jsonl"])] == ["a__x.jsonl", "b__x.jsonl"]


@pytest.mark.parametrize("pattern", ["nothing-*.jsonl", "missing.jsonl", "**/none.parquet"])
def test_a_pattern_that_matches_nothing(tmp_path: Path, pattern: str) -> None:
    write(tmp_path / "x.jsonl")
    with pytest.raises(BadArgument, match="no file matches") as refused:
        work_items([f"{tmp_path}/x.jsonl", f"{tmp_path}/{pattern}"])
    assert pattern in str(refused.value)
    assert refused.value.exit_code == 2


def test_unknown_extensions_and_folders(tmp_path: Path) -> None:
    write(tmp_path / "d" / "x.xml")
    with pytest.raises(BadArgument, match=r"x\.xml: unknown extension.*\.jsonl, .*\.gz, .*\.bz2\), \.parquet;"):
        work_items([f"{tmp_path}/d/*"])
    (tmp_path / "empty").mkdir()
    for folder, pattern in (("d", r"/d/\*\.xml$"), ("empty", r"/empty/\*\.jsonl\.zst$"), ("mixed", r"/\*\.txt\.xz$")):
        write(tmp_path / "mixed" / "README.md")
        (tmp_path / "mixed" / "cc.100.txt.xz").write_bytes(b"x" * 1000)
        with pytest.raises(BadArgument, match=f"is a folder; name its files, such as .*{pattern}"):
            work_items([f"{tmp_path}/{folder}"])
    with pytest.raises(BadArgument, match="item_bytes is 0"):
        work_items([f"{tmp_path}/d/*"], 0)


def test_temporary_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl")
    write(tmp_path / "y.jsonl.tmp-0123456789ab")
    (tmp_path / "folder.jsonl").mkdir()
    assert [item.name for item in work_items([f"{tmp_path}/*"])] == ["x.jsonl"]


def test_a_file_whose_name_holds_wildcards(tmp_path: Path) -> None:
    write(tmp_path / "x[1].jsonl")
    (item,) = work_items([f"{tmp_path}/x[1].jsonl"])
    assert item.name == "x[1].jsonl"


def test_a_folder_whose_name_holds_wildcards(tmp_path: Path) -> None:
    for folder in ("x[1]", "x1"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "part-0.jsonl")
    (item,) = work_items([f"{glob.escape(f'{tmp_path}/x[1]')}/part-*.jsonl"])
    assert (item.path, item.name) == (f"{tmp_path}/x[1]/part-0.jsonl", "part-0.jsonl")


def test_dangling_link_is_an_error_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(TamizError, match=r"can't read .*No such file"):
        work_items([f"{tmp_path}/*.jsonl"])


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.parquet", "x.tsv", "x.txt"])
def test_an_empty_file_is_one_item_without_rows(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, b"")
    (item,) = work_items([f"{tmp_path}/{name}"])
    assert list(read_batches(item)) == []


def test_line_files_split_at_line_borders(tmp_path: Path) -> None:
    lines = [b"x" * (row % 7) + b"%d\n" % row for row in range(100)]
    path = write(tmp_path / "x.txt", b"".join(lines))
    items = work_items([str(path)], 50)
    assert [item.name for item in items] == [f"x.txt.item{n:04d}" for n in range(len(items))]
    assert {item.input_name for item in items} == {"x.txt"}
    assert len(items) > 5
    data = path.read_bytes()
    for before, item in zip([None, *items], items, strict=False):
        assert item.start == (before.end if before else 0)
        assert located(item).first_row == data[: item.start].count(b"\n")
        assert item.end == len(data) or (item.end - item.start >= 50 and data[item.end - 1] == ord("\n"))
        assert item.end - item.start < 50 + max(map(len, lines))
    assert items[-1].end == len(data)


def test_a_long_line_is_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.documents.splitting.BLOCK", 16)
    write(tmp_path / "x.txt", b"a\n" + b"b" * 1000 + b"\nc")
    items = work_items([f"{tmp_path}/x.txt"], 10)
    assert [(i.start, i.end, located(i).first_row) for i in items] == [(0, 1003, 0), (1003, 1004, 2)]
    assert [rows_of(i) for i in items] == [[(0, "a"), (1, "b" * 1000)], [(2, "c")]]


def test_compressed_files_stay_whole(tmp_path: Path) -> None:
    write(tmp_path / "x.txt.gz", gzip.compress(b"a\n" * 1000))
    (item,) = work_items([f"{tmp_path}/x.txt.gz"], 1)
    assert (item.start, item.end, item.name) == (0, item.size, "x.txt.gz")


def test_parquet_splits_between_row_groups(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", rows=100, group=10)
    one = work_items([str(path)], 1)
    assert [(i.start, i.end, i.first_row) for i in one] == [(g, g + 1, 10 * g) for g in range(10)]
    (whole,) = work_items([str(path)])
    assert (whole.start, whole.end, whole.first_row) == (0, 10, 0)
    assert [row for item in one for row in rows_of(item)] == rows_of(whole)


def test_parquet_must_have_a_text_column_of_strings(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"], "url": ["b"]}), tmp_path / "x.parquet")
    with pytest.raises(BadArgument, match=r"x\.parquet has no column text; its columns are body, url"):
        work_items([f"{tmp_path}/x.parquet"])
    pq.write_table(pa.table({"text": [1]}), tmp_path / "y.parquet")
    with pytest.raises(BadArgument, match="column text is int64"):
        work_items([f"{tmp_path}/y.parquet"])


def test_any_fsspec_address(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/corpus/es/a.jsonl", b'{"text":"a"}\n' * 3)
    memory.pipe("/corpus/es/deep/b.txt.gz", gzip.compress(b"b\n"))
    path = parquet(tmp_path / "c.parquet", rows=20, group=10)
    memory.pipe("/corpus/es/c.parquet", path.read_bytes())
    items = work_items(["memory://corpus/es/**", "memory://corpus/es/a.jsonl"], 50)
    assert [item.name for item in items] == ["a.jsonl", "c.parquet.item0000", "c.parquet.item0001", "deep__b.txt.gz"]
    assert [item.path for item in items[::3]] == ["memory://corpus/es/a.jsonl", "memory://corpus/es/deep/b.txt.gz"]
    assert [len(rows_of(item)) for item in items] == [3, 10, 10, 1]
    assert all(item.etag and item.mtime_ns is None for item in items)
    with pytest.raises(BadArgument, match="no file matches"):
        work_items(["memory://corpus/pt/*"])


class Unreachable(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A file system without a network."""

    protocol = "unreachable"

    def ls(self, path: str, detail: bool = True, **_: object) -> list[object]:
        raise ConnectionError(f"Name or service not known: {path} {detail}\nmore")


def test_without_a_network_one_line_says_what_to_do() -> None:
    fsspec.register_implementation("unreachable", Unreachable, clobber=True)
    with pytest.raises(TamizError) as refused:
        work_items(["unreachable://datasets/x/*.parquet"])
    message = str(refused.value)
    assert "unreachable://datasets/x/*.parquet" in message
    assert "Name or service not known" in message
    assert "--" not in message  # the command adds what it has
    assert "\n" not in message
    assert refused.value.exit_code == 1


def test_unknown_and_uninstalled_file_systems() -> None:
    with pytest.raises(BadArgument, match="Protocol not known: nowhere"):
        work_items(["nowhere://x/*.jsonl"])
