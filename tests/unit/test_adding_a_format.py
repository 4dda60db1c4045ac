"""An outsider's input format is one file: nothing of tamiz changes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.documents.formats import detect
from corpora.documents.groups import source_of
from corpora.errors import BadArgument

CSV = '''
"""Comma-separated values with a header; `url` where the file has it."""
import csv, io
from corpora.documents.batches import BatchBuilder
from corpora.documents.formats import FORMATS
from corpora.documents.formats.base import Format
from corpora.documents.streams import pieces

class Csv(Format):
    name = "csv"
    extensions = (".csv",)

    def batches(self, item, batch_bytes, columns):
        builder = BatchBuilder(item.path, columns)
        text = b"".join(pieces(item)).decode()
        for row, fields in enumerate(csv.DictReader(io.StringIO(text, newline=""))):
            value = fields.get(item.text_column)
            document = (value, fields.get("url"), None, *(fields.get(name) for name in columns))
            builder.add(row, document if value else f"{item.text_column} empty", ",".join(fields.values()).encode())
        yield builder.build(len(text))

FORMATS.register(Csv())
'''

NUMBERED = '''
"""`number|text` lines, which are split as all lines are."""
from corpora.documents.formats import FORMATS
from corpora.documents.formats.lines import LineFormat, LineParser

class Parser(LineParser):
    def outcome(self, line):
        number, bar, text = line.decode().partition("|")
        return (text, number, None, *(None for _ in self.columns)) if bar else "no bar"

class Numbered(LineFormat):
    name, extensions = "numbered", (".num",)

    def parser(self, item, columns):
        return Parser(item.path, columns)

FORMATS.register(Numbered())
'''


def python(folder: Path, *arguments: str, modules: str = "csv_documents") -> subprocess.CompletedProcess[str]:
    (folder / "csv_documents.py").write_text(CSV)
    (folder / "numbered_documents.py").write_text(NUMBERED)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}", "TAMIZ_EXTENSIONS": modules}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_shards_of_an_outsiders_format(tmp_path: Path) -> None:
    data = 'url,body\nu,"uno, dos\ntres"\nv,\nw,cuatro\n'
    (tmp_path / "a.csv").write_text(data)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(data.encode()))
    build = ("-m", "tamiz", "shards", "build", "--input", f"{tmp_path}/*.csv*", "--text-column", "body")
    build += ("--tokenizer", "byt5", "--objective", "causal", "--sequence-length", "8", "--validation-fraction", "0")
    done = python(tmp_path, *build, "--max-rejected", "0.5", "--out", f"{tmp_path}/shards")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_bytes())
    assert manifest["counts"] == {"read": 6, "kept": 4, "sampled_out": 0, "rejected": {"body empty": 2}}
    rejected = json.loads((tmp_path / "shards" / "rejected" / "a.csv.jsonl").read_text())
    assert (rejected["row"], rejected["reason"]) == (1, "body empty")
    ids = manifest["facts"]["account"]["train"]["ids"]
    assert ids == 2 * len("uno, dos\ntrescuatro")


def test_lists_and_sources_know_it(tmp_path: Path) -> None:
    listed = python(tmp_path, "-m", "tamiz", "score", "--help")
    assert ".csv[.gz|.zst]" in listed.stdout
    assert "jsonl, parquet, tsv, txt, csv" in listed.stdout
    code = "from corpora.documents.groups import source_of as s; print(s('wiki-00001-of-00002.csv.gz.item0001'))"
    assert python(tmp_path, "-c", code).stdout == "wiki\n"
    assert source_of("wiki-00001-of-00002.csv.gz") == "wiki-00001-of-00002.csv.gz"  # not loaded here
    with pytest.raises(BadArgument, match=r"x\.csv: unknown extension"):
        detect("x.csv")


def test_an_outsiders_lines_are_split(tmp_path: Path) -> None:
    (tmp_path / "x.num").write_text("".join(f"{n}|text {n}\n" for n in range(100)) + "nothing\n")
    code = (
        "import sys\n"
        "from corpora.documents.items import work_items\n"
        "from corpora.documents.reading import read_batches, read_texts\n"
        "items = work_items([sys.argv[1]], 200)\n"
        "batches = [batch for item in items for batch in read_batches(item)]\n"
        "print(len(items), [t for b in batches for t in b.texts] == [f'text {n}' for n in range(100)])\n"
        "print([int(r) for b in batches for r in b.rows] == list(range(100)), batches[-1].rejected[0].reason)\n"
        "print(sum(b.total for item in items for b in read_texts(item)))\n"
    )
    found = python(tmp_path, "-c", code, str(tmp_path / "x.num"), modules="numbered_documents")
    assert found.stdout.split("\n")[:3] == ["6 True", "True no bar", "101"], found.stderr


def test_two_formats_with_one_extension_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(CSV.replace('"csv"', '"other"'))
    (tmp_path / "x.csv").write_text("text\nuno\n")
    train = (
        "-m",
        "tamiz",
        "tokenizer",
        "train",
        "--kind",
        "bytes",
        "--vocab-size",
        "259",
        "--input",
        f"{tmp_path}/x.csv",
    )
    done = python(tmp_path, *train, "--out", f"{tmp_path}/out", modules="csv_documents,other")
    assert done.returncode == 2
    assert "the formats csv and other both claim .csv" in done.stderr
