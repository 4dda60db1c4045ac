"""An outsider's input format is one file: nothing of tamiz changes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from corpora.documents.formats import detect
from corpora.documents.groups import source_of
from corpora.errors import BadArgument
from tests.conftest import digests
from tests.outsider import copy_toy, python, tamiz

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


def test_shards_of_an_outsiders_format(tmp_path: Path) -> None:
    copy_toy("format", tmp_path)
    data = b'url|body\nu|"uno, dos\ntres"\nv\nw|cuatro|5\nx|seis \xff\n'
    (tmp_path / "a.bars").write_bytes(data)
    (tmp_path / "b.bars.gz").write_bytes(gzip.compress(data))
    long = "palabra " * 20_000
    (tmp_path / "c.bars").write_text(f"body\n{long}\n")
    build = ("shards", "build", "--input", "*.bars*", "--text-column", "body", "--tokenizer", "byt5")
    build += ("--objective", "causal", "--sequence-length", 8, "--validation-fraction", 0, "--max-rejected", 0.5)
    for workers in (1, 2):
        done = tamiz(tmp_path, *build, "--out", f"shards{workers}", "--workers", workers, extensions="format")
        assert done.returncode == 0, done.stderr
    shards = tmp_path / "shards1"
    assert digests(shards) == digests(tmp_path / "shards2")
    manifest = json.loads((shards / "manifest.json").read_bytes())
    assert manifest["counts"] == {
        "read": 9,
        "kept": 5,
        "sampled_out": 0,
        "rejected": {"body empty": 2, "invalid UTF-8": 2},
    }
    rejected = [json.loads(line) for line in (shards / "rejected" / "a.bars.jsonl").read_text().splitlines()]
    assert [(row["row"], row["reason"]) for row in rejected] == [(1, "body empty"), (3, "invalid UTF-8")]
    ids = manifest["facts"]["account"]["train"]["ids"]
    assert ids == 2 * len("uno, dos\ntrescuatro") + len(long)


def test_lists_and_sources_know_it(tmp_path: Path) -> None:
    copy_toy("format", tmp_path)
    listed = tamiz(tmp_path, "score", "--help", extensions="format")
    text = " ".join(listed.stdout.split())
    assert ".bars (also compressed: .gz," in text
    assert "jsonl, parquet, tsv, txt, csv, wet, leipzig, bars" in text
    code = "from corpora.documents.groups import source_of as s; print(s('wiki-00001-of-00002.bars.gz.item0001'))"
    assert python(tmp_path, "-c", code, extensions="format").stdout == "wiki\n"
    assert source_of("wiki-00001-of-00002.bars.gz") == "wiki-00001-of-00002.bars.gz"  # not loaded here
    with pytest.raises(BadArgument, match=r"x\.bars: unknown extension"):
        detect("x.bars")


def test_an_outsiders_lines_are_split(tmp_path: Path) -> None:
    (tmp_path / "numbered.py").write_text(NUMBERED)
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
    found = python(tmp_path, "-c", code, "x.num", extensions="numbered")
    assert found.stdout.split("\n")[:3] == ["6 True", "True no bar", "101"], found.stderr


def test_two_formats_with_one_extension_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(copy_toy("format", tmp_path).read_text().replace('"bars"', '"other"'))
    (tmp_path / "x.bars").write_text("text\nuno\n")
    train = ("tokenizer", "train", "--kind", "bytes", "--vocab-size", 259, "--input", "x.bars", "--out", "out")
    done = tamiz(tmp_path, *train, extensions="format,other")
    assert done.returncode == 2
    assert "the formats bars and other both claim .bars" in done.stderr
