"""`tamiz tokenizer eval` as a command: files, groups, the draw, restarts, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from tests.command import exit_code
from tests.conftest import counts, digests
from tests.invented import document
from tests.make_tokenizers import make_tokenizer
from tests.reference.slow_evaluation import slow_figures


@pytest.fixture(scope="module")
def files(texts, tmp_path_factory) -> Path:
    """Languages by folder; two sources of es, one of them in two shards; a column that says otherwise."""
    folder = tmp_path_factory.mktemp("files")
    write(folder / "es" / "news-00000-of-00002.jsonl", texts[:50], "es")
    write(folder / "es" / "news-00001-of-00002.jsonl.zst", texts[50:90], "es")
    write(folder / "es" / "books.jsonl", texts[90:120], "ca")
    write(folder / "xx" / "ko-00000.jsonl", ["한국어 문장 하나", "둘 셋 🎉", *texts[120:125]], None)
    return folder


def write(path: Path, texts: list[str], language: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps({"text": t, "lang": language}).encode() + b"\n" for t in texts)
    path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)


@pytest.fixture(scope="module")
def unigram(texts, tmp_path_factory) -> str:
    return make_tokenizer("unigram", texts, tmp_path_factory.mktemp("tokenizers") / "uni")


def run(*arguments: object) -> int:
    return exit_code("tokenizer", "eval", *arguments)


def evaluated(out: Path) -> dict:
    return json.loads((out / "eval.json").read_bytes())


def test_groups_add_up_whatever_the_workers(files, texts, unigram, tmp_path, capsys):
    out, other = tmp_path / "one", tmp_path / "two"
    assert run(unigram, "byt5", "--input", files / "*" / "*", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "fertility" in shown
    assert "es/es__news" in shown
    assert run(unigram, "byt5", "--input", files / "*" / "*", "--out", other, "--workers", 2) == 0
    assert digests(out) == digests(other)
    assert (out / "eval.png").read_bytes()[:4] == b"\x89PNG"
    per = evaluated(out)["per"]
    assert sorted(per["language,source"]) == ["es/es__books", "es/es__news", "ko/xx__ko"]
    assert (
        per["language,source"]["ko/xx__ko"]
        == {name: per["source"]["xx__ko"][name] for name in ("uni", "byt5")}
        == per["language"]["ko"]
    )
    assert per["source"]["es__news"]["byt5"] == slow_byt5(texts[:90])
    assert per["language"]["es"]["byt5"] == slow_byt5(texts[:120])
    assert [t["name"] for t in evaluated(out)["tokenizers"]] == ["uni", "byt5"]


def slow_byt5(texts: list[str]) -> dict:
    from corpora.encoding import load_encoder

    return slow_figures(load_encoder("byt5"), texts, prefix="", normalise=lambda text: text)


def test_a_column_says_the_language(files, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("byt5", "--input", files / "*" / "*", "--language-column", "lang", "--out", out) == 0
    per = evaluated(out)["per"]["language"]
    assert {name: by["byt5"]["documents"] for name, by in per.items()} == {"ca": 30, "es": 90, "unknown": 7}
    assert run("byt5", "--input", files / "*" / "*", "--languages", "es,ko", "--out", tmp_path / "named") == 0
    assert run("byt5", "--input", files / "*" / "*", "--languages", "pt") == 2
    assert "none of pt occurs in its path" in capsys.readouterr().err


def test_the_draw_depends_on_documents_alone(files, texts, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write(tmp_path / "all.jsonl", texts[:120], None)
    assert run("byt5", "--input", files / "es" / "*", "--documents", 40, "--out", whole) == 0
    assert run("byt5", "--input", tmp_path / "all.jsonl", "--documents", 40, "--out", cut) == 0
    assert counts(whole) == {"read": 120, "kept": 40, "sampled_out": 80, "rejected": {}}
    assert evaluated(whole)["per"]["all"] == evaluated(cut)["per"]["all"]
    # again, from a finished folder: the draw is not forgotten
    assert run("byt5", "--input", files / "es" / "*", "--documents", 40, "--out", whole, "--rebuild") == 0
    assert counts(whole)["kept"] == 40
    assert run("byt5", "--input", files / "es" / "*", "--documents", 500, "--out", tmp_path / "most") == 0
    assert counts(tmp_path / "most")["kept"] == 120


def test_again_verified_and_stale(files, unigram, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = (unigram, "--input", files / "es" / "*", "--out", out)
    assert run(*arguments) == 0
    (out / "eval.png").unlink()  # as where a run was killed between the two
    assert run(*arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (out / "eval.png").is_file()
    assert exit_code("verify", out) == 0
    assert run("byt5", *arguments[1:]) == 1
    assert "--rebuild" in capsys.readouterr().err


def test_rejected_rows_and_damage(tmp_path, capsys):
    lines = [json.dumps({"text": document(n)}).encode() for n in range(40)]
    (tmp_path / "bad.jsonl").write_bytes(b"\n".join([*lines[:20], b"{", b'{"text": 3}']) + b"\n")
    out = tmp_path / "out"
    assert run("byt5", "--input", tmp_path / "bad.jsonl", "--out", out) == 1
    assert "were rejected" in capsys.readouterr().err
    assert sum(counts(out)["rejected"].values()) == 2  # type: ignore[attr-defined]
    assert run("byt5", "--input", tmp_path / "bad.jsonl") == 1  # nothing is kept
    assert "see DIR/rejected (with --out DIR)" in capsys.readouterr().err
    assert run("byt5", "--input", tmp_path / "bad.jsonl", "--max-rejected", 0.5) == 0
    whole = zstandard.compress(b"\n".join(lines) + b"\n", 1)
    (tmp_path / "cut.jsonl.zst").write_bytes(whole[:-30])
    assert run("byt5", "--input", tmp_path / "cut.jsonl.zst") == 1
    assert "damaged" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert run("byt5", "--input", tmp_path / "empty.jsonl", "--out", tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "x"), "Missing argument 'TOKENIZER...'"),
        (("--flink_version=1", "byt5", "--input", "x"), "name a tokenizer before"),
        (("/nowhere", "--input", "pyproject.toml"), "unknown extension"),
        (("/nowhere", "--input", "tamiz/recipes/demo/documents.jsonl"), "no tokenizer '/nowhere'"),
        (("byt5", "--input", "tamiz/recipes/demo/documents.jsonl", "--documentz", "3"), "did you mean --documents"),
        (("byt5", "--input", "tamiz/recipes/demo/documents.jsonl", "--documents", "0"), "documents is 0"),
        (("byt5", "byt5", "--input", "tamiz/recipes/demo/documents.jsonl"), "given twice"),
        (
            ("byt5", "--input", "tamiz/recipes/demo/documents.jsonl", "--languages", "es", "--language-column", "l"),
            "exclude",
        ),
    ],
)
def test_bad_arguments(arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
