"""`tamiz upload` to a loopback Hub, both ways: what is there afterwards, what travelled, and what is refused."""

from __future__ import annotations

import json
import socket

import pytest

from tamiz.hub.publish import Bounds
from tests.command import tamiz
from tests.loopback_hub import LoopbackHub
from tests.uploads import CARD, client, contents, local, output, put_bytes, remote

EDITED = CARD.encode() + b"\nBy hand.\n"


@pytest.fixture(params=["lfs", "xet"])
def hub(request, tmp_path):
    with LoopbackHub(request.param, tmp_path / "hub") as running, client(running):
        yield running


@pytest.fixture
def lfs(tmp_path):
    with LoopbackHub("lfs", tmp_path / "hub") as running, client(running):
        yield running


def test_one_commit_then_none_then_only_what_changed(hub, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(1))
    code, out, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, err) == (0, "")
    assert "to send: 11 files, " in out
    assert f"published: {hub.url}/me/x (commit " in out
    assert remote(hub, "me/x") == local(folder)
    assert len(hub.commits("model", "me/x")) == 2
    code, out, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, err) == (0, "")
    assert f"{hub.url}/me/x has all of it already: no commit" in out
    assert len(hub.commits("model", "me/x")) == 2
    kept = contents(1)
    del kept["weights/part-0.bin"], kept["words.txt"]
    hub.commit("model", "me/x", {"notes.txt": b"of someone else"})
    output(folder, {**kept, "weights/part-1.bin": b"\0new"})
    hub.clear()
    code, out, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, err) == (0, "")
    assert "to send: 3 files, " in out
    assert "; 2 of an earlier upload to delete" in out
    assert remote(hub, "me/x") == {**local(folder), "notes.txt": b"of someone else"}
    assert len(hub.commits("model", "me/x")) == 4
    assert put_bytes(hub) in (0, 4)  # 0 the xet way


def test_a_card_that_was_edited_on_the_hub_stays_unless_told(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(1))
    upload = ("upload", folder, "--repo", "me/x")
    assert tamiz(capsys, *upload)[0] == 0
    lfs.commit("model", "me/x", {"README.md": EDITED})
    for n in range(2):
        output(folder, contents(2 + n))
        code, _, err = tamiz(capsys, *upload)
        stays = "README.md was changed on the Hub, and stays as it is there; --overwrite-card replaces it"
        assert (code, err) == (0, f"warning: {stays}\n")
        assert remote(lfs, "me/x") == {**local(folder), "README.md": EDITED}
    commits = len(lfs.commits("model", "me/x"))
    assert "no commit" in tamiz(capsys, *upload)[1]
    assert len(lfs.commits("model", "me/x")) == commits
    assert tamiz(capsys, *upload, "--overwrite-card")[0::2] == (0, "")
    assert remote(lfs, "me/x") == local(folder)
    (folder / "README.md").write_bytes(EDITED)  # edited here: published as it is, over the one that we put there
    assert tamiz(capsys, *upload)[0::2] == (0, "")
    assert remote(lfs, "me/x")["README.md"] == EDITED


def test_a_card_that_was_there_before_stays_and_so_do_files_that_someone_changed(lfs, capsys, tmp_path):
    lfs.create("model", "me/x", {"README.md": EDITED, "other.txt": b"theirs"})
    folder = output(tmp_path / "out", contents(1))
    assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0] == 0
    assert remote(lfs, "me/x") == {**local(folder), "README.md": EDITED, "other.txt": b"theirs"}
    lfs.commit("model", "me/x", {"words.txt": b"changed by someone"})
    kept = contents(1)
    del kept["words.txt"]
    output(folder, kept)
    code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, "words.txt was changed on the Hub, and stays as it is there" in err) == (0, True)
    assert remote(lfs, "me/x")["words.txt"] == b"changed by someone"


def test_a_record_that_someone_changed_deletes_nothing(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(1))
    assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0] == 0
    lfs.commit("model", "me/x", {".tamiz-upload.json": b"{}", "other.txt": b"theirs"})
    kept = contents(1)
    del kept["words.txt"]
    output(folder, kept)
    code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, ".tamiz-upload.json in me/x isn't as tamiz wrote it" in err) == (0, True)
    assert {"words.txt", "other.txt"} < remote(lfs, "me/x").keys()


def test_a_dry_run_asks_nothing_of_the_network(lfs, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    folder = output(tmp_path / "out", contents(1))
    code, out, err = tamiz(capsys, "upload", folder, "--repo", "me/x", "--dry-run")
    assert (code, err, lfs.requests) == (0, "", [])
    rows = dict(line.strip("│ ").split(" │ ")[:2] for line in out.splitlines() if line.startswith("│"))
    whole = local(folder)
    assert {name.strip(): number.strip() for name, number in rows.items()} == {
        **{name: f"{len(content):,}" for name, content in whole.items()},
        "in all": f"{sum(map(len, whole.values())):,}",
    }
    assert "Nothing was sent" in out


def test_a_branch_and_a_private_repository_are_made(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(1))
    assert tamiz(capsys, "upload", folder, "--repo", "me/x", "--private", "--revision", "tried/it")[0::2] == (0, "")
    assert lfs.repository("model", "me/x").private
    assert (remote(lfs, "me/x"), remote(lfs, "me/x", revision="tried/it")) == ({}, local(folder))
    assert (
        "/me/x, branch tried/it has all"
        in tamiz(capsys, "upload", folder, "--repo", "me/x", "--revision", "tried/it")[1]
    )
    lfs.create("model", "me/open")
    code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/open", "--private")
    assert (code, "me/open is public already" in err) == (0, True)


def test_someone_else_commits_in_between(hub, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(1))
    theirs = [{"a.txt": b"1"}, {"config.json": b"{}"}]

    def come_first(_):
        if theirs:
            hub.commit("model", "me/x", theirs.pop())
        return False

    hub.fault("commit", "status", times=9, when=come_first)
    assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
    assert remote(hub, "me/x") == {**local(folder), "a.txt": b"1"}
    assert [each.title for each in hub.commits("model", "me/x")].count("Export by tamiz") == 1


def test_many_files_go_by_a_pull_request_that_is_merged_whole(hub, capsys, tmp_path):
    output(tmp_path / "old", contents(1, number=3))
    folder = output(tmp_path / "out", contents(2, number=9))
    with client(hub, bounds=Bounds(most=4)):
        hub.create("model", "me/x")
        assert tamiz(capsys, "upload", tmp_path / "old", "--repo", "me/x")[0::2] == (0, "")
        assert remote(hub, "me/x") == local(tmp_path / "old")
        commits = len(hub.commits("model", "me/x"))
    with client(hub, bounds=Bounds(most=4), patience=0.5):
        hub.fault("commit", "lost", times=1)
        hub.fault("discussions", "lost", times=1, when=lambda asked: asked.path.endswith("/merge"))
        hub.fault("commit", "status", status=500, times=200, when=lambda asked: b'"words.txt"' in asked.body)
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
        assert (code, "nothing is published yet" in err) == (1, True)
        assert remote(hub, "me/x") == local(tmp_path / "old")
        hub.clear_faults()
        hub.clear()
        assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
    assert put_bytes(hub) == 0
    assert remote(hub, "me/x") == local(folder)
    assert len(hub.commits("model", "me/x")) == commits + 1
    assert [pull.status for pull in hub.repository("model", "me/x").pulls.values()] == ["merged", "merged"]


def test_a_pull_request_that_cannot_be_opened_ends_in_a_line(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(2, number=9))
    lfs.fault("commit", "status", status=500, times=10**6)
    with client(lfs, bounds=Bounds(most=4), patience=0.5):
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, err.count("\n"), remote(lfs, "me/x")) == (1, 1, {})
    assert "nothing is published yet" in err


def test_a_pull_request_that_no_longer_fits_is_made_anew(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(2, number=9))
    theirs = [{"config.json": b"{}"}]

    def come_first(asked):
        if theirs and asked.path.endswith("/merge"):
            lfs.commit("model", "me/x", theirs.pop())
        return False

    lfs.fault("discussions", "status", times=9, when=come_first)
    with client(lfs, bounds=Bounds(most=4)):
        assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
    assert remote(lfs, "me/x") == local(folder)
    assert [pull.status for pull in lfs.repository("model", "me/x").pulls.values()] == ["closed", "merged"]


def test_a_card_that_someone_writes_between_two_tries_is_not_recorded_as_ours(lfs, capsys, tmp_path):
    folder = output(tmp_path / "out", contents(2))
    theirs = [{"README.md": b"# theirs\n"}]

    def come_first(_):
        if theirs:
            lfs.commit("model", "me/x", theirs.pop())
            return True
        return False

    lfs.fault("commit", "status", when=come_first)
    with client(lfs):
        assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0] == 0
    there = lfs.files("model", "me/x")
    assert there["README.md"] == b"# theirs\n"
    assert "README.md" not in json.loads(there[".tamiz-upload.json"])["files"]


def test_a_pull_request_of_a_stranger_is_not_merged(lfs, capsys, tmp_path):
    """It has the title of ours, and a file more."""
    folder = output(tmp_path / "out", contents(2, number=9))
    with client(lfs, bounds=Bounds(most=4)):
        assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
        repository = lfs.repository("model", "me/x")
        (title,) = [pull.title for pull in repository.pulls.values()]
        lfs.commit("model", "me/x", dict.fromkeys(lfs.files("model", "me/x")))
        theirs = repository.open_pull(title, "you", "open")
        lfs.commit("model", "me/x", {"evil.py": b"evil"}, branch=f"refs/pr/{theirs.num}")
        assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
    assert remote(lfs, "me/x") == local(folder)
    assert [pull.status for pull in repository.pulls.values()] == ["merged", "closed", "merged"]


def test_without_a_network_it_ends_soon(lfs, capsys, tmp_path, monkeypatch):
    """Not after all the patience that a Hub is worth that was reached."""
    folder = output(tmp_path / "out", contents(1))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, err.count("\n"), lfs.requests) == (1, 1, [])
    assert "can't reach the Hub" in err
    assert "check the network" in err


def test_a_wait_is_said_once(lfs, capsys, tmp_path):
    lfs.fault("revision", "status", status=503, times=3)
    code, out, err = tamiz(capsys, "upload", output(tmp_path / "out", contents(1)), "--repo", "me/x")
    assert (code, err) == (0, "")
    assert "-> model me/x: 10 files, " in out
    assert out.count("upload: waiting for the Hub (status 503)\n") == 1


def test_rights_and_logins(lfs, capsys, tmp_path, monkeypatch):
    folder = output(tmp_path / "out", contents(1))

    def refused(name, said):
        code, _, err = tamiz(capsys, "upload", folder, "--repo", name)
        assert (code, err.count("\n")) == (1, 1), err
        assert said in err
        assert "hf auth login" in err

    refused("you/new", "you/new: you may not write there (You don't have the rights to create")
    you = lfs.add_user("you")
    lfs.create("model", "you/open", {"a.txt": b"1"})
    lfs.create("model", "you/gated", gated=True)
    lfs.create("model", "you/hidden", private=True)
    refused("you/open", "you/open: you may not write there")
    refused("you/gated", "you/gated: you may not write there")
    refused("you/hidden", "you/hidden: you may not write there")
    monkeypatch.setenv("HF_TOKEN", "hf_NoTokenOfAnybody")
    refused("me/x", "me/x: the Hub doesn't accept your token")
    monkeypatch.delenv("HF_TOKEN")
    lfs.clear()
    refused("me/x", "you aren't logged in")
    assert lfs.requests == []
    monkeypatch.setenv("HF_TOKEN", you)
    assert tamiz(capsys, "upload", folder, "--repo", "you/hidden")[0] == 0


def test_too_many_files_in_a_folder_and_too_large_ones(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tamiz.hub.limits.MOST_IN_FOLDER", 5)
    folder = output(tmp_path / "out", contents(1))
    code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x", "--dry-run")
    assert (code, err) == (1, "error: weights has 6 files; the Hub takes up to 5 in one\n")
    monkeypatch.undo()
    monkeypatch.setattr("tamiz.hub.limits.MOST_FILE", 19_999)
    code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x", "--dry-run")
    assert (code, "20,000 bytes; the Hub takes files up to 19,999" in err) == (1, True)


def test_a_run_is_a_dataset_of_its_parts_or_its_model(lfs, capsys, tmp_path):
    home = output(tmp_path / "run", {"recipe.json": b'{"input": "' + bytes(tmp_path) + b'/run/raw"}'}, stage="run")
    (home / "README.md").unlink()
    page = home / "report/index.html"
    page.parent.mkdir()
    page.write_text(f"<p>tamiz run --out {home}</p>")
    (home / "report/loss.png").write_bytes(b"\x89PNG")
    content = contents(3)
    output(home / "model", content)
    output(home / "shards/es", {"train/part-0.parquet": b"PAR1"})
    output(home / "lm2", {"x.bin": b"1"})
    from corpora import manifest

    whole = manifest.read(home)
    whole.files = [manifest.record(home, home / "recipe.json")]
    manifest.write(home, whole)
    manifest.add_derived(home, [page, home / "report/loss.png"])
    code, out, err = tamiz(capsys, "upload", home, "--repo", "me/x")
    assert code == 0, err
    assert f"warning: recipe.json names a folder of this machine, and is published as it is: {home}/raw" in err
    assert "left out: report/index.html" in out
    assert "left out: lm2/x.bin" in out
    there = remote(lfs, "me/x", "dataset")
    assert set(there) == {
        "README.md", "manifest.json", "recipe.json", "report/loss.png", "shards/es/README.md",
        "shards/es/manifest.json", "shards/es/train/part-0.parquet", "model/README.md", "model/manifest.json",
        *(f"model/{name}" for name in content),
    }  # fmt: skip
    assert tamiz(capsys, "upload", home, "--repo", "me/y", "--type", "model")[0::2] == (0, "")
    assert remote(lfs, "me/y") == local(home / "model")
