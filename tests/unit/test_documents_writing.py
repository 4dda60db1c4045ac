"""Kept documents, rejected rows and named sources."""

from __future__ import annotations

import base64
import gzip
import json
import math
import random
import re
import resource
import signal
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpora.documents.batches import RejectedRow
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.documents.sources import SOURCES, DocumentSource
from corpora.documents.writing import COLUMNS, FORMATS, DocumentWriter
from corpora.errors import BadArgument, TamizError

TEXTS = [f"documento {n} ñ\0\n" for n in range(250)]
TIMES = [None if n % 3 else "2020-01-01T00:00:00Z" for n in range(250)]
URLS = [None if n % 2 else f"https://es/{n}" for n in range(250)]
PERPLEXITY = np.arange(250) / 7
KEEP = np.full(250, 0.125)


def write(path: Path, format: str, step: int) -> bytes:
    with DocumentWriter(path, format=format) as writer:
        for n in range(0, len(TEXTS), step):
            cut = slice(n, n + step)
            writer.write(TEXTS[cut], TIMES[cut], URLS[cut], PERPLEXITY[cut], KEEP[cut])
    assert writer.rows == len(TEXTS)
    return path.read_bytes()


@pytest.mark.parametrize("format", list(FORMATS))
def test_what_is_written_is_read_again(tmp_path: Path, format: str) -> None:
    write(tmp_path / f"part-00000.{format}", format, 100)
    (item,) = work_items([f"{tmp_path}/*"])
    (found,) = read_batches(item, columns=("perplexity",))
    assert (found.texts, found.timestamps, found.urls, found.rejected) == (TEXTS, TIMES, URLS, [])
    assert [float(p) for p in found.extra["perplexity"] if p is not None] == PERPLEXITY.tolist()


@pytest.mark.parametrize("format", list(FORMATS))
def test_equal_rows_give_equal_bytes(tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the calls cut them, and wherever the file lies."""
    monkeypatch.setattr("corpora.documents.writing.GROUP_ROWS", 60)
    monkeypatch.setattr("corpora.documents.writing.GROUP_CHARACTERS", 900)
    once = write(tmp_path / f"a.{format}", format, 250)
    assert once == write(tmp_path / "deep" / f"b.{format}", format, 7)
    assert [p.name for p in tmp_path.iterdir() if "tmp-" in p.name] == []


def test_the_schema_and_the_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.documents.writing.GROUP_ROWS", 100)
    write(tmp_path / "x.parquet", "parquet", 33)
    opened = pq.ParquetFile(tmp_path / "x.parquet")
    assert opened.schema_arrow.names == list(COLUMNS)
    assert opened.schema_arrow.types == [pa.string()] * 3 + [pa.float64()] * 2
    assert [opened.metadata.row_group(g).num_rows for g in range(3)] == [100, 100, 50]
    assert opened.metadata.row_group(0).column(0).compression == "ZSTD"


def test_lines_are_json_objects(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl.gz", "jsonl.gz", 100)
    write(tmp_path / "x.jsonl.zst", "jsonl.zst", 100)
    data = gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes())
    assert data == zstandard.ZstdDecompressor().stream_reader((tmp_path / "x.jsonl.zst").read_bytes()).read()
    first = json.loads(data.split(b"\n")[7])
    assert list(first) == list(COLUMNS)
    assert first == dict(zip(COLUMNS, (TEXTS[7], TIMES[7], URLS[7], 1.0, 0.125), strict=True))


def test_gzip_says_neither_name_nor_time(tmp_path: Path) -> None:
    assert write(tmp_path / "x.jsonl.gz", "jsonl.gz", 100)[:8] == b"\x1f\x8b\x08" + b"\0" * 5


@pytest.mark.parametrize("format", list(FORMATS))
def test_nothing_kept_is_a_file_without_rows(tmp_path: Path, format: str) -> None:
    with DocumentWriter(tmp_path / f"x.{format}", format=format) as writer:
        writer.write([], [], [], [], [])
    (item,) = work_items([f"{tmp_path}/*"])
    assert sum(found.total for found in read_batches(item)) == 0
    assert all(found.damage is None for found in read_batches(item))


@pytest.mark.parametrize("format", list(FORMATS))
def test_an_interrupted_file_leaves_nothing(tmp_path: Path, format: str) -> None:
    def interrupted() -> None:
        with DocumentWriter(tmp_path / f"x.{format}", format=format) as writer:
            writer.write(TEXTS, TIMES, URLS, PERPLEXITY, KEEP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_columns_must_be_of_equal_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"), DocumentWriter(tmp_path / "x.parquet") as writer:
        writer.write(["a", "b"], [None, None], [None, None], [1.0], [1.0, 1.0])


def test_unknown_format_and_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"written as csv; formats are parquet, jsonl\.zst, jsonl\.gz"):
        DocumentWriter(tmp_path / "x.csv", format="csv")
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(TamizError, match=r"can't write .*x\.parquet"),
        DocumentWriter(tmp_path / "file" / "x.parquet"),
    ):
        pass


FULL_DISK = """
import sys
from corpora.documents.writing import DocumentWriter
from corpora.errors import TamizError
text = open("/dev/urandom", "rb").read(1 << 20).hex()
try:
    with DocumentWriter(sys.argv[1], format=sys.argv[2]) as writer:
        writer.write([text], [None], [None], [1.0], [1.0])
except TamizError as error:
    print(error)
"""


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, format: str) -> None:
    """A limit on the size of files stands in for a full disk: the write fails midway."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / f"x.{format}"), format]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=True)
    line = rf"can't write {tmp_path}/x\.{format}: File too large: needs more than \d\d,\d{{3}} bytes, "
    assert re.fullmatch(rf"{line}more than a file may have here \(by `ulimit -f`, or .*\)\n", done.stdout)
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_datasets_reads_parts_as_they_are(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write(tmp_path / "part-00000.parquet", "parquet", 100)
    files = str(tmp_path / "*.parquet")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["text"][:] == TEXTS
    assert loaded.column_names == list(COLUMNS)


ROWS = [
    RejectedRow("a.jsonl", 3, "not JSON: Expecting value at character 0", b"\xff\x00" * 32),
    RejectedRow("a.jsonl", 5, "not JSON: Extra data at character 9", b'"'),
    RejectedRow("a.jsonl", 9, "blank line", b""),
]


def test_rejected_rows_are_written_with_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rejected" / "a.jsonl.jsonl"
    with RejectedWriter(path) as rejected:
        rejected.write(ROWS[:1])
        rejected.write([])
        rejected.write(ROWS[1:])
        assert not path.exists()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [list(line) for line in lines] == [["file", "row", "reason", "first_bytes"]] * 3
    assert [RejectedRow(**{**line, "first_bytes": base64.b64decode(line["first_bytes"])}) for line in lines] == ROWS
    assert rejected.rows == 3
    assert rejected.counts == {"not JSON": 2, "blank line": 1}


def test_without_rejected_rows_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rejected" / "a.jsonl"
    with RejectedWriter(path):
        pass
    assert list(tmp_path.iterdir()) == []
    with RejectedWriter(path) as rejected:
        rejected.write(ROWS)
    with RejectedWriter(path):  # a run whose rows are all good again
        pass
    assert not path.exists()


def test_an_interrupted_list_of_rejected_rows_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with RejectedWriter(tmp_path / "a.jsonl") as rejected:
            rejected.write(ROWS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_sources_by_name() -> None:
    languages = ("en", "es", "ja", "ko", "pt", "zh")
    assert {f"{corpus}-{language}" for corpus in ("mc4", "wikipedia") for language in languages} < set(SOURCES)
    assert {"c4-en", "mc4-es-sampled", "mmarco-es", "pt-corpus", "pt-corpus-instruct"} < set(SOURCES)
    assert all(s.pattern.startswith("hf://datasets/") and s.licence and s.citation for s in SOURCES.values())
    assert all(s.language in s.name.split("-") for s in SOURCES.values())
    assert DocumentSource(source="mc4-es").patterns == (SOURCES["mc4-es"].pattern,)
    with pytest.raises(ValueError, match="did you mean mc4-es"):
        DocumentSource(source="mc4_es")
    with pytest.raises(ValueError, match="published corpora are c4-en, mc4-en, mc4-es, mc4-es-sampled, mc4-ja, "):
        DocumentSource(source="qqq")


# names of the corpora's files, as their own scripts and cards give them, and those beside them
PUBLISHED = {
    "mc4-zh": ("c4-zh.tfrecord-00000-of-01024.json.gz", "c4-zh-Latn.tfrecord-00000-of-00008.json.gz"),
    "mc4-en": ("c4-en.tfrecord-00000-of-11264.json.gz", "c4-en-validation.tfrecord-00000-of-00128.json.gz"),
    "c4-en": ("c4-train.00000-of-01024.json.gz", "c4-validation.00000-of-00008.json.gz"),
    "mc4-es-sampled": (
        "mc4-es-train-50M-gaussian-shard-0001-of-1024.json.gz",
        "mc4-es-train-50M-stepwise-shard-0001-of-1024.json.gz",
    ),
    "pt-corpus-instruct": ("train-00000-of-00061.parquet", "README.md"),
    "wikipedia-ko": ("train-00000-of-00003.parquet", "README.md"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_patterns_match_the_published_names(name: str) -> None:
    taken, left = PUBLISHED[name]
    pattern = SOURCES[name].pattern.rpartition("/")[2]
    assert fnmatchcase(taken, pattern)
    assert not fnmatchcase(left, pattern)


def test_mc4_leaves_out_its_validation_split() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    folder = "/" + SOURCES["mc4-es"].pattern.removeprefix("hf://").rsplit("/", 1)[0]
    for name in ("c4-es.tfrecord-00000-of-02048", "c4-es-validation.tfrecord-00000-of-00001", "c4-et.tfrecord-0"):
        memory.pipe(f"{folder}/{name}.json.gz", gzip.compress(b'{"text":"a"}\n'))
    items = work_items([SOURCES["mc4-es"].pattern.replace("hf://", "memory://")])
    assert [item.name for item in items] == ["c4-es.tfrecord-00000-of-02048.json.gz"]


def test_unscored_numbers_become_null_in_lines(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "x.jsonl.gz", format="jsonl.gz") as writer:
        writer.write(["a"], [None], [None], [math.nan], [0.5])
    assert json.loads(gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()))["perplexity"] is None


def test_parquet_has_what_the_hub_s_viewer_needs(tmp_path):
    """A page index and content-defined pages: a document in front leaves the pages behind it as they were."""
    import pyarrow.parquet as pq

    texts = [random.Random(n).randbytes(1300).hex() for n in range(1500)]
    for name, held in (("a.parquet", texts), ("b.parquet", ["new", *texts])):
        nothing = [None] * len(held)
        with DocumentWriter(tmp_path / name) as writer:
            writer.write(held, nothing, nothing, np.ones(len(held)), np.ones(len(held)))
    files = [pq.ParquetFile(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    text = files[0].metadata.row_group(0).column(0)
    assert text.path_in_schema == "text"
    assert text.has_offset_index
    assert [file.read()["text"].to_pylist()[-1] for file in files] == [texts[-1]] * 2
    pages = [_large_pages(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    assert len(pages[0]) > 5
    assert len(pages[0] - pages[1]) <= 1


def _large_pages(path: Path) -> set[bytes]:
    """What lies between the magic numbers of zstd, where it is a page of texts."""
    return {page for page in path.read_bytes().split(bytes.fromhex("28b52ffd")) if len(page) > 50_000}


def test_polars_and_duckdb_read_a_sample_over_fsspec(tmp_path: Path) -> None:
    """They read hf:// by themselves from huggingface.co alone; through fsspec, from wherever the client reads."""
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    import fsspec

    write(tmp_path / "part-00000.parquet", "parquet", 100)
    memory = fsspec.filesystem("memory")
    memory.pipe("/me/x/part-00000.parquet", (tmp_path / "part-00000.parquet").read_bytes())
    with memory.open("/me/x/part-00000.parquet") as file:
        assert polars.read_parquet(file)["text"].to_list() == TEXTS
    connection = duckdb.connect()
    connection.register_filesystem(memory)
    found = connection.execute("SELECT text FROM read_parquet('memory://me/x/*.parquet')").fetchall()
    assert [row[0] for row in found] == TEXTS
