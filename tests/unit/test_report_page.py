"""The page of `tamiz report`: the figures are the files', nothing on it comes from elsewhere or runs."""

from __future__ import annotations

import json
import re
import shutil
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.verify import verify
from tamiz.report.page import is_written, write_report
from tests import warm
from tests.make_scores import Scored, sampled, scored_corpus, write_scored

TAGS = re.compile(
    "html|head|meta|title|style|body|header|main|h[1234]|p|ul|li|b|bdi|figure|figcaption|img|div|table|thead|tbody|tr|"
    "th|td|details|summary|span|code|a"
)
ATTRIBUTES = re.compile("lang|dir|class|alt|src|content|name|charset|http-equiv|tabindex|title|href")


class Reader(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.in_cell = False
        self.feed(page)

    def check(self):
        for tag, attributes in self.tags:
            assert TAGS.fullmatch(tag), tag
            assert all(ATTRIBUTES.fullmatch(name) for name in attributes), (tag, attributes)
            assert tag != "a" or re.match("https?://", attributes["href"])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data


def read_page(folder: Path) -> tuple[str, Reader]:
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    return page, Reader(page)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[Path, list[str]]:
    return scored_corpus(tmp_path_factory.mktemp("corpus"))


def test_the_page_tells_the_figures_and_fetches_nothing(corpus):
    folder, patterns = corpus
    home = folder / "sampled"
    write_report(home, inputs=patterns)
    page, reader = read_page(home)
    content = manifest.read(home)
    rows = {tuple(row[1:3]): row for row in reader.rows if len(row) == 11}
    assert rows["es", "news"][3] == "500"
    assert rows["all", ""][3:4] + rows["all", ""][8:9] == ["900", f"{content.counts['kept']:,}"]
    reader.check()
    for tag, attributes in reader.tags:
        if tag == "img":
            assert attributes["src"].startswith("data:image/png;base64,")
            assert len(attributes["alt"]) > 20
    assert sum(tag == "img" for tag, _ in reader.tags) == 5
    assert "url(" not in page
    assert "@import" not in page
    assert page.startswith('<!doctype html>\n<html lang="en">')
    named = {r.path for r in content.derived}
    written = {f"report/{p.name}" for p in (home / "report").iterdir()}
    assert named == written
    assert len(written) == 6
    assert verify(home)[1] == []


def test_equal_inputs_give_equal_bytes(corpus, tmp_path):
    folder, patterns = corpus
    made = []
    for name in ("one", "two"):
        home = tmp_path / name / "sampled"
        shutil.copytree(folder / "sampled", home, ignore=shutil.ignore_patterns("report"))
        shutil.copytree(folder / "scores", tmp_path / name / "scores")
        shutil.rmtree(home / "report", ignore_errors=True)
        write_report(home, inputs=patterns)
        page = (home / "report" / "index.html").read_bytes()
        made.append({p.name: p.read_bytes() for p in (home / "report").glob("*.png")})
        made[-1]["index.html"] = page.replace(name.encode() + b"/sampled", b"")
    assert made[0] == made[1]
    for data in (data for name, data in made[0].items() if name.endswith(".png")):
        assert b"tEXt" not in data
        assert b"tIME" not in data


HOSTILE = "<script>alert(1)</script><img src=http://evil.invalid/x onerror=alert(1)>&amp;"
OVERRIDE = "abc\u202edcba\u2066x\x00\x1b[31m\x9d\u200fz\n\r\u2028fin\ud83d".encode("utf-8", "ignore").decode()


def test_hostile_documents_are_shown_as_text(tmp_path):
    rows = [
        Scored(HOSTILE, 'javascript:alert(1)//"><svg onload=alert(2)>', 5.0),
        Scored(OVERRIDE, "https://a.invalid/\u202egnp.exe", 6.0),
        Scored("a\u0301" + "\u0301" * 3000, None, 7.0),
        Scored("مرحبا بالعالم", "", 8.0),
        Scored("日本語の文書", None, 9.0),
    ]
    name = "<b onclick=x>-00000-of-00001.jsonl"
    files = {name: rows, 'x" onerror="alert(1)" y="-00000-of-00001.jsonl': rows[:2]}
    patterns, _ = write_scored(tmp_path, files, {name: '"><script>1</script>'})
    sampled(tmp_path, patterns, keep=0.9)
    write_report(tmp_path / "sampled", inputs=patterns)
    page, reader = read_page(tmp_path / "sampled")
    reader.check()
    assert HOSTILE in reader.text
    assert "مرحبا بالعالم" in page
    assert "日本語の文書" in page
    assert "abc\ufffddcba\ufffdx\ufffd\ufffd[31m\ufffd\ufffdz fin" in page
    assert not any(c in page for c in "\u202e\u2066\u2028\x00\x1b\x9d\u200f\r")
    assert "default-src 'none'" in page
    assert not [a for _, a in reader.tags if a.get("lang", "en") != "en"]


def test_a_run_is_told_of_in_its_recipes_words(corpus, tmp_path):
    folder, patterns = corpus
    shutil.copytree(folder / "scores", tmp_path / "scores")
    shutil.copytree(folder / "sampled", tmp_path / "sampled", ignore=shutil.ignore_patterns("report"))
    recipe = {"title": "<i>Mine</i>", "reference": "&", "language": "es", "documents": {"input": patterns}}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    made_from = manifest.MadeFrom(stage="run", algorithm=1, settings={}, inputs=[])
    manifest.begin(tmp_path / "x", made_from)
    (tmp_path / "x" / "manifest.json").rename(tmp_path / "manifest.json")
    manifest.finish(tmp_path, records=[manifest.record(tmp_path, tmp_path / "recipe.json")])
    write_report(tmp_path)
    page, _ = read_page(tmp_path)
    assert "<h1>&lt;i&gt;Mine&lt;/i&gt;</h1>" in page
    assert "text not read" not in page
    for stage in ("scores", "sampled"):
        assert manifest.read(tmp_path / stage).fingerprint in page
    assert is_written(tmp_path)


def test_inputs_that_are_gone_or_changed_are_told_of(corpus, tmp_path, capsys):
    folder, _ = corpus
    for name in ("in", "scores", "sampled"):
        shutil.copytree(folder / name, tmp_path / name, ignore=shutil.ignore_patterns("report"))
    home, patterns = tmp_path / "sampled", [str(tmp_path / "in" / "*")]
    (tmp_path / "in" / "wiki.jsonl").unlink()
    changed = tmp_path / "in" / "livros.jsonl"
    changed.write_bytes(changed.read_bytes().replace(b"palabra1", b"palabra2"))
    write_report(home, inputs=patterns)
    page, reader = read_page(home)
    assert "no longer among the inputs" in reader.text
    assert "wiki.jsonl" in reader.text
    assert f"{changed} is not the file that was scored" in reader.text
    assert "text not read" in page
    assert "https://a.invalid/" in page
    assert "https://c.invalid/" not in page
    assert "https://d.invalid/" not in page

    shutil.rmtree(tmp_path / "in")
    write_report(home, inputs=patterns)
    assert "no file matches this pattern" in read_page(home)[1].text
    assert "text not read" not in read_page(home)[0]
    assert "no file matches this pattern" in capsys.readouterr().err
    write_report(home)
    page, reader = read_page(home)
    assert "https://" not in reader.text
    assert "text not read" not in page
    assert "nearest each decile" not in page
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "--input PATTERN" in told[0]


def test_scores_alone(corpus, tmp_path):
    folder, patterns = corpus
    shutil.copytree(folder / "scores", tmp_path / "scores")
    write_report(tmp_path / "scores", inputs=patterns)
    page, reader = read_page(tmp_path / "scores")
    assert "https://a.invalid/" in page
    assert "keep probability" not in page
    assert "not kept" not in reader.text
    assert "documents kept" not in reader.text
    assert verify(tmp_path / "scores")[1] == []


def test_scores_of_nothing_are_refused(tmp_path):
    _, scores = write_scored(tmp_path, {"a.jsonl": []})
    with pytest.raises(DamagedFile, match="no scored document"):
        write_report(scores)


def test_the_command(corpus, tmp_path):
    folder, patterns = corpus
    shutil.copytree(folder / "scores", tmp_path / "scores")
    done = warm.tamiz("report", tmp_path / "scores", "--input", *patterns)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("report/index.html")
    done = warm.tamiz("report", tmp_path)
    assert done.returncode == 1
    assert "no manifest.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_plots_have_a_columns_width(corpus):
    folder, patterns = corpus
    home = folder / "sampled"
    write_report(home, inputs=patterns)
    widths = {p.name: struct.unpack(">II", p.read_bytes()[16:24])[0] for p in (home / "report").glob("*.png")}
    assert widths == {"perplexity.png": 1050, "length.png": 1050, "perplexity-by-length.png": 2100,
                      "groups.png": 2100, "composition.png": 2100}  # fmt: skip
