"""What `tamiz upload` refuses by its arguments alone: in one line, before any request."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamiz.hub.folder import KINDS, publication
from tests.command import tamiz
from tests.uploads import contents, output


@pytest.fixture
def refused(capsys, monkeypatch):
    """Runs an upload that ends with exit code 2; returns what it says. Nothing listens where the Hub would be."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_nobodys")

    def upload(folder: Path, *options: str) -> str:
        code, out, err = tamiz(capsys, "upload", folder, "--repo", "me/x", *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

    return upload


@pytest.mark.parametrize("name", ["x", "me/x/y", "me/../x", "me/", "-me/x", "me/x.git", "me/a--b", f"me/{'x' * 94}"])
def test_names_that_the_hub_does_not_take(refused, tmp_path, name):
    assert "OWNER/NAME" in refused(output(tmp_path / "out", {}), "--repo", name)


@pytest.mark.parametrize("stage", sorted({*KINDS} - {"run"}))
def test_a_repository_of_a_type_that_loads_nothing_of_it(refused, tmp_path, stage):
    kind, usual = KINDS[stage]
    other = {"dataset": "model", "model": "dataset"}[usual]
    folder = output(tmp_path / "out", contents(1), stage=stage)
    said = refused(folder, "--type", other)
    assert said == (
        f"error: --type {other}: the {kind} in {folder} can only be loaded from a {usual} repository: "
        "leave --type out\n"
    )


@pytest.mark.parametrize(
    "branch",
    [
        "", "bad branch", "a..b", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "/a", "a/", "a.", "-a", "@", "HEAD",
        "a@{b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a\tb", "a\x7fb", "\udcff", "x" * 251, "é" * 126,
    ],
)  # fmt: skip
def test_names_that_git_gives_no_branch(refused, tmp_path, branch):
    assert "name a branch of letters, digits" in refused(output(tmp_path / "out", {}), "--revision", branch)


@pytest.mark.parametrize("revision", ["refs/pr/1", "refs/heads/main", "refs/convert/parquet", "0123abcd" * 5])
def test_revisions_that_are_no_branches(refused, tmp_path, revision):
    assert " and no branch: " in refused(output(tmp_path / "out", {}), "--revision", revision)


@pytest.mark.parametrize("branch", ["main", "v1.0", "tried/it", "a@b", "a-b", "0123abc", "rama-ñ", "HEADS"])
def test_names_that_a_branch_can_have(capsys, tmp_path, branch):
    folder = output(tmp_path / "out", contents(1))
    assert tamiz(capsys, "upload", folder, "--repo", "me/x", "--revision", branch, "--dry-run")[0::2] == (0, "")


def test_rejected_rows_and_their_like_are_left_out(tmp_path):
    """At the root and in the parts of a run, with a reason."""
    more = {"rejected/a.jsonl": b"{}", "report/b.png": b"b"}
    run = output(tmp_path / "run", more, stage="run")
    output(run / "sampled", {"part-0.parquet": b"PAR1", **more}, stage="sample")
    (run / "sampled/log.jsonl").write_bytes(b"{}")
    found = publication(run)
    assert {each.path for each in found.items} == {
        "README.md", "manifest.json", "report/b.png", "sampled/README.md", "sampled/manifest.json",
        "sampled/part-0.parquet", "sampled/report/b.png",
    }  # fmt: skip
    assert {path: why.partition(",")[0] for path, (_, why) in found.left_out.items()} == {
        "rejected/": "rows that aren't documents",
        "sampled/rejected/": "rows that aren't documents",
        "sampled/log.jsonl": "command lines and the machine",
    }
