"""Bad input through the commands: a reason, a count, the right exit code, nothing else lost."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from tamiz.verify import verify
from tests.command import tamiz
from tests.conftest import counts

GOOD = [json.dumps({"text": f"La casa número {n} tiene un patio.", "url": f"u{n}"}).encode() for n in range(30)]
BAD = {
    b"{not json": "not JSON",
    b'["a list"]': "not an object",
    b'"a string"': "not an object",
    b'{"url": "x"}': "text missing",
    b'{"text": null}': "text null",
    b'{"text": 5}': "text not a string",
    b'{"text": ""}': "text empty",
    b'{"text": "\xff\xfe"}': "invalid UTF-8",
    b'{"text": "\\ud800"}': "lone surrogate",
    b"": "blank line",
}
KEPT = [
    b'{"text": "cero \\u0000 aqu\\u00ed"}',
    b'{"text": "primero", "text": "el \\u00faltimo gana"}',
    b'{"text": "con retorno\\r\\ny otra"}\r',
    json.dumps({"text": "línea corta\n" * 10_000}).encode(),
]


def rejected(folder: Path) -> list[dict]:
    return [json.loads(line) for p in sorted((folder / "rejected").glob("*.jsonl")) for line in p.open()]


def test_every_kind_of_bad_row_is_kept_aside_through_all_stages(capsys, lm, tmp_path):
    lines = [*GOOD, *BAD, *KEPT]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")
    code, _, error = tamiz(capsys, "score", "--input", source, "--lm", lm, "--out", tmp_path / "scores")
    assert code == 1  # 9 of 43 rows, above 5%
    assert "9 of 43 rows" in error
    code, _, _ = tamiz(
        capsys, "score", "--input", source, "--lm", lm, "--out", tmp_path / "scores", "--max-rejected", "0.5"
    )
    assert code == 0
    found = rejected(tmp_path / "scores")
    assert [(r["row"], r["reason"].partition(": ")[0]) for r in found] == [
        (len(GOOD) + n, reason) for n, reason in enumerate(BAD.values())
    ]
    assert [base64.b64decode(r["first_bytes"]) for r in found] == [line[:64] for line in BAD]
    reasons = Counter(BAD.values())
    assert counts(tmp_path / "scores") == {
        "read": 44, "kept": 34, "sampled_out": 0, "rejected": dict(sorted(reasons.items())),
    }  # fmt: skip
    code, _, _ = tamiz(
        capsys, "sample", "--input", source, "--scores", tmp_path / "scores", "--method", "random", "--keep", "1",
        "--out", tmp_path / "sampled", "--max-rejected", "0.5",
    )  # fmt: skip
    assert code == 0
    assert counts(tmp_path / "sampled")["kept"] == 34
    assert [r["row"] for r in rejected(tmp_path / "sampled")] == [r["row"] for r in found]
    assert verify(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)],
)
def test_a_truncated_file_is_read_up_to_the_damage_and_named(capsys, lm, tmp_path, name, compress):
    many = [json.dumps({"text": os.urandom(300).hex()}).encode() for _ in range(2000)]
    whole = compress(b"\n".join(many) + b"\n")
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(GOOD))
    arguments = ("score", "--input", tmp_path / "[ab].*", "--lm", lm, "--out", tmp_path / "scores")
    code, _, error = tamiz(capsys, *arguments)
    assert code == 1
    assert name in error
    items = {i["name"]: i for i in json.loads((tmp_path / "scores" / "manifest.json").read_bytes())["items"]}
    assert items["b.jsonl"]["kept"] == len(GOOD)
    assert 100 < items[name]["kept"] < 2000
    again = tamiz(capsys, *arguments)
    assert again[0] == 1  # finished, but still damaged


def test_an_empty_file_is_no_error(capsys, lm, tmp_path):
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(GOOD))
    code, _, _ = tamiz(capsys, "score", "--input", tmp_path / "*.jsonl", "--lm", lm, "--out", tmp_path / "scores")
    assert code == 0
    assert counts(tmp_path / "scores")["read"] == len(GOOD)


def test_a_pattern_that_matches_nothing(capsys, lm, tmp_path):
    code, _, error = tamiz(capsys, "score", "--input", tmp_path / "*.jsonl", "--lm", lm, "--out", tmp_path / "scores")
    assert code == 2
    assert "no file matches" in error
    assert not (tmp_path / "scores").exists()


def test_a_folder_that_cannot_be_written(capsys, lm, demo):
    code, _, error = tamiz(
        capsys, "score", "--input", demo / "documents.jsonl", "--lm", lm, "--out", "/proc/nowhere/scores"
    )
    assert code == 1
    assert "/proc/nowhere" in error


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder]).returncode:
        pytest.skip("can't mount a small file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_told_and_work_goes_on_once_there_is_room(capsys, lm, demo, tmp_path, small_disk, workers):
    arguments = ("sample", "--input", demo / "documents.jsonl", "--method", "random", "--keep", "1")
    tamiz(capsys, "score", "--input", demo / "documents.jsonl", "--lm", lm, "--out", tmp_path / "scores")
    (small_disk / "ballast").write_bytes(os.urandom(250_000))
    out = ("--scores", tmp_path / "scores", "--out", small_disk / "sampled", "--workers", workers)
    code, _, error = tamiz(capsys, *arguments, *out)
    assert code == 1
    assert "No space left" in error
    assert len(error.strip().splitlines()) <= 2
    (small_disk / "ballast").unlink()
    assert tamiz(capsys, *arguments, *out)[0] == 0
    assert verify(small_disk / "sampled")[1] == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "not a model"])
def test_a_damaged_language_model(capsys, lm, demo, tmp_path, damage):
    home = shutil.copytree(lm.parent, tmp_path / "lm")
    path = home / lm.name
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        del data[-1000:]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    else:
        data = bytearray(b"not a model at all")
    path.write_bytes(data)
    arguments = ("score", "--input", demo / "documents.jsonl", "--lm", path, "--out", tmp_path / "scores")
    code, _, error = tamiz(capsys, *arguments)
    assert code == 1
    assert path.name in error
    assert not list((tmp_path / "scores").glob("*.parquet"))


def test_a_damaged_tokenizer_of_the_language_model(capsys, lm, demo, tmp_path):
    home = shutil.copytree(lm.parent, tmp_path / "lm")
    path = home / "es.spiece.model"
    path.write_bytes(path.read_bytes()[:-10])
    code, _, error = tamiz(
        capsys, "score", "--input", demo / "documents.jsonl", "--lm", home / lm.name, "--out", tmp_path / "scores"
    )
    assert code == 1
    assert "es.spiece.model" in error


def test_a_50_mb_document(capsys, lm, tmp_path):
    text = ("El río baja crecido y la huerta espera. " * 25 + "\n") * 50_000
    (tmp_path / "a.jsonl").write_bytes(json.dumps({"text": text}).encode() + b"\n" + b"\n".join(GOOD))
    assert (tmp_path / "a.jsonl").stat().st_size > 50e6
    code, _, _ = tamiz(capsys, "score", "--input", tmp_path / "a.jsonl", "--lm", lm, "--out", tmp_path / "scores")
    assert code == 0
    assert counts(tmp_path / "scores")["kept"] == 31
