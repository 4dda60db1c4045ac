"""Folders that `tamiz upload` doesn't publish: each is refused in one line, before any request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import tamiz
from tests.loopback_hub import LoopbackHub
from tests.uploads import client, contents, output


@pytest.fixture
def lfs(tmp_path):
    with LoopbackHub("lfs", tmp_path / "hub") as running, client(running):
        yield running


def not_tamiz(folder: Path) -> str:
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("text")
    return "has no manifest.json, so it is no finished output of tamiz"


def one_below(folder: Path) -> str:
    output(folder / "es", contents(1))
    return "has no manifest.json, so it is no finished output of tamiz; publish one of its folders: es"


def inside_another(folder: Path) -> str:
    folder.mkdir()
    (folder.parent / "manifest.json").write_bytes(b"{}")
    return f"publish the folder that it is in: {folder.parent}"


def a_file(folder: Path) -> str:
    folder.write_bytes(b"")
    return "is a file, not a folder"


def a_language_model(folder: Path) -> str:
    folder.mkdir()
    (folder / "es.bin").write_bytes(b"")
    (folder / "es.json").write_text('{"format": "tamiz-lm"}')
    return (
        f"{folder} holds a language model, which `tamiz upload` doesn't publish: `hf upload OWNER/NAME {folder} "
        "--exclude '*.rejected/*' --exclude '*.log.jsonl'` does"
    )


def unfinished(folder: Path) -> str:
    output(folder, contents(1))
    content = json.loads((folder / "manifest.json").read_bytes())
    del content["checksum"]
    (folder / "manifest.json").write_text(json.dumps({**content, "version": 1, "finished": False}))
    return "is unfinished: run its command again to finish it"


def damaged(folder: Path) -> str:
    output(folder, contents(1))
    (folder / "config.json").write_bytes(b"{}")
    return "config.json: 2 bytes, but the manifest says 11: nothing was published"


def more_than_listed(folder: Path) -> str:
    output(folder, contents(1))
    (folder / "mine.txt").write_bytes(b"?")
    return "mine.txt: not listed in"


def no_content(folder: Path) -> str:
    output(folder, {"rejected/a.jsonl": b"{}"})
    return "there is nothing to publish but its manifest"


def another_stage(folder: Path) -> str:
    output(folder, contents(1), stage="words")
    return "holds the output of 'words', which isn't published: one of export, "


def a_bad_card(folder: Path) -> str:
    output(folder, contents(1))
    (folder / "README.md").write_text("---\nlicense: [\n---\n")
    return "README.md: the Hub won't take it: "


@pytest.mark.parametrize(
    "make",
    [
        not_tamiz,
        one_below,
        inside_another,
        a_file,
        a_language_model,
        unfinished,
        damaged,
        more_than_listed,
        no_content,
        another_stage,
        a_bad_card,
    ],
)
def test_what_is_refused_before_any_request(lfs, capsys, tmp_path, make):
    said = make(tmp_path / "out")
    code, _, err = tamiz(capsys, "upload", tmp_path / "out", "--repo", "me/x")
    assert (code, err.count("\n"), lfs.requests) == (1, 1, [])
    assert said in err
