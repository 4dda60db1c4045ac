"""A data set of the shape of mC4, scored and sampled from the Hub: the same bytes as from local files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpora import manifest
from corpora.documents.carrying import carrying
from corpora.documents.items import work_items
from corpora.documents.reading import read_carrying
from corpora.errors import TamizError
from pipelines.room import check_room
from tests.command import exit_code, tamiz
from tests.conftest import digests
from tests.loopback_hub import LoopbackHub
from tests.reading_hub import gz, parquet, read_from

FOLDER = "multilingual"
ROUTES = ("api", "resolve", "get")


@pytest.fixture(scope="module")
def files(demo) -> dict[str, bytes]:
    """40 files: the demo's documents in the order of their lines."""
    lines = (demo / "documents.jsonl").read_bytes().splitlines(keepends=True)
    return {
        f"{FOLDER}/c4-es.tfrecord-{n:05d}-of-00040.json.gz": gz(b"".join(lines[n::40])) for n in range(40)
    }  # fmt: skip


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    with LoopbackHub("lfs", tmp_path / "hub") as hub:
        hub.create("dataset", "allenai/c4", files)
        read_from(hub, monkeypatch, tmp_path)
        yield hub


def local(files: dict[str, bytes], folder: Path) -> str:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return f"{folder}/{FOLDER}/*.gz"


def score_and_sample(pattern: str, lm: Path, out: Path) -> dict[str, str]:
    flags = ("--input", pattern, "--workers", 2, "--max-rejected", 1)
    assert exit_code("score", *flags, "--lm", lm, "--out", out / "scores") == 0
    assert exit_code("sample", *flags, "--scores", out / "scores", "--keep", 0.5, "--out", out / "sampled") == 0
    return digests(out)


def test_the_same_as_from_local_files_with_a_fault_in_five_requests(hub, files, lm, tmp_path):
    for route in ROUTES:
        hub.fault(route, "mix", probability=0.2, times=10**6, seconds=0.1)
    found = score_and_sample(f"hf://datasets/allenai/c4/{FOLDER}/c4-es.*.json.gz", lm, tmp_path / "remote")
    assert len(hub.fired) > 10
    assert found == score_and_sample(local(files, tmp_path / "local"), lm, tmp_path / "near")
    commit = hub.repository("dataset", "allenai/c4").branches["main"]
    made = manifest.read(tmp_path / "remote" / "scores").made_from
    assert {(each.commit, len(each.etag or "")) for each in made.inputs} == {(commit, 64)}
    near = manifest.read(tmp_path / "near" / "scores").made_from
    assert made.fingerprint() == near.fingerprint()  # known by the same hashes
    assert b"signature" not in (tmp_path / "remote" / "scores" / "manifest.json").read_bytes()


def test_one_request_of_each_file(hub, lm, tmp_path):
    pattern = f"hf://datasets/allenai/c4/{FOLDER}/*.gz"
    assert exit_code("score", "--input", pattern, "--lm", lm, "--out", tmp_path / "s", "--max-rejected", 1) == 0
    asked = [request for request in hub.requests if request.server == "hub"]
    calls = [request.route for request in asked if request.path.startswith("/api/")]
    assert calls == ["revision", "tree"]
    assert 40 <= len(asked) - 2 <= 40 + 8  # and a look into eight of them


def test_parquet_carries_its_columns_or_says_why_not(hub, lm, tmp_path):
    more = {"extra": list(range(50)), "other": ["x"] * 50}
    hub.create("dataset", "me/tables", {f"t{n}.parquet": parquet(n * 50, 50, **more) for n in range(2)})
    pattern = "hf://datasets/me/tables/*.parquet"
    flags = ("--input", pattern, "--max-rejected", 1)
    assert exit_code("score", *flags, "--lm", lm, "--out", tmp_path / "s", "--allow-unknown") == 0
    again = ("sample", *flags, "--scores", tmp_path / "s", "--keep", 0.5, "--out", tmp_path / "o")
    assert exit_code(*again) == 0
    facts = manifest.read(tmp_path / "o").facts["columns"]
    assert "extra" in json.dumps(facts)
    assert "other" in json.dumps(facts)
    (item, _) = work_items([pattern])
    decided = carrying([item], None, ("text", "url", "timestamp"))
    (seen,) = decided.of_glimpsed([item])
    assert sum(batch.total for batch in read_carrying(seen, decided.columns)) == 50
    other = type(item)(**{**item.asdict(), "glimpsed": "0" * 16})
    with pytest.raises(TamizError, match="has other columns than a first look at it showed"):
        list(read_carrying(other, decided.columns))


def test_a_killed_run_continues_after_the_repository_moved_on(hub, files, lm, tmp_path, capsys, monkeypatch):
    """In processes of their own; what was fetched in part is continued where a cache is named."""
    near = local(files, tmp_path / "local")
    assert exit_code("score", "--input", near, "--lm", lm, "--out", tmp_path / "near", "--max-rejected", 1) == 0
    hub.fault("get", "slow", probability=1.0, times=10**6, seconds=0.2)
    out, kept = tmp_path / "remote", tmp_path / "kept"
    pattern = f"hf://datasets/allenai/c4/{FOLDER}/*.gz"
    score = ("score", "--input", pattern, "--lm", str(lm), "--out", str(out), "--max-rejected", "1")
    command = [sys.executable, "-m", "tamiz", *score]
    environment = hub.environment(TAMIZ_HUB_CACHE=str(kept))
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 90
    while len(list((out / ".progress").glob("notes/*/*.json"))) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = len(list((out / ".progress").glob("notes/*/*.json")))
    assert 3 <= done < 40
    hub.clear_faults()
    hub.clear()
    hub.commit("dataset", "allenai/c4", {"README.md": b"# Moved on\n"})
    read_from(hub, monkeypatch, tmp_path)
    code, _, said = tamiz(capsys, *score)
    assert (code, digests(out)) == (0, digests(tmp_path / "near")), said
    asked = [{name.lower() for name in r.headers} for r in hub.requests if r.route == "get"]
    assert sum("range" not in names for names in asked) == 40 - done
    first = next(iter(files))
    hub.commit("dataset", "allenai/c4", {first: gz(b'{"text": "otro"}\n')})
    read_from(hub, monkeypatch, tmp_path)
    code, _, said = tamiz(capsys, *score)
    said = " ".join(said.split())
    assert code == 1
    assert "input changed: c4-es.tfrecord-00000-of-00040.json.gz; files of the Hub as they were: write @" in said


@pytest.mark.usefixtures("hub")
def test_no_room_is_refused_before_the_work(monkeypatch, tmp_path, caplog):
    items = work_items([f"hf://datasets/allenai/c4/{FOLDER}/*.gz"])
    check_room(items, 2)
    monkeypatch.setattr("pipelines.room.free_bytes", lambda _: 10)
    sizes = sorted((item.size or 0 for item in items), reverse=True)
    with pytest.raises(
        TamizError, match=f"needs {sum(sizes[:2]):,} bytes for the largest files, 2 at a time.*TMPDIR"
    ):
        check_room(items, 2)
    assert caplog.messages == []
    monkeypatch.setenv("TMPDIR", "/proc/nope")
    with pytest.raises(TamizError, match="TMPDIR"):
        check_room(items, 2)
    (said,) = caplog.messages
    assert said.startswith("TMPDIR=/proc/nope can't be written: copies of the Hub's files lie in ")
    monkeypatch.setenv("TAMIZ_HUB_CACHE", str(tmp_path / "kept"))
    with pytest.raises(TamizError, match=f"needs {sum(sizes):,} bytes to keep the files in {tmp_path}/kept"):
        check_room(items, 2)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/proc/nope", r"can't write in /proc/nope \(TAMIZ_HUB_CACHE\): No such file .*; let TAMIZ_HUB_CACHE name"),
        ("/dev/null", r"can't write in /dev/null \(TAMIZ_HUB_CACHE\): File exists; "),
        ("~nobody-is-called-so/x", "TAMIZ_HUB_CACHE=~nobody-is-called-so/x: there is no such user; name a folder"),
    ],
)
def test_a_cache_that_cannot_be_written_is_refused_before_the_work(monkeypatch, place, said):
    items = work_items([f"hf://datasets/allenai/c4/{FOLDER}/*.gz"])
    monkeypatch.setenv("TAMIZ_HUB_CACHE", place)
    with pytest.raises(TamizError, match=said):
        check_room(items, 2)


@pytest.mark.usefixtures("hub")
def test_without_a_temporary_folder_it_says_so(monkeypatch):
    items = work_items([f"hf://datasets/allenai/c4/{FOLDER}/*.gz"])
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/proc/nope"])
    with pytest.raises(TamizError, match="no temporary folder can be written, neither TMPDIR nor /tmp: No usable"):
        check_room(items, 2)
