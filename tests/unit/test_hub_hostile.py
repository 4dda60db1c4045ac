"""A server of the Hub's that errs on purpose: every answer ends in an error of one line, soon, and nowhere else."""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.errors import TamizError
from corpora.hub import client, pacing, tree, tries
from corpora.hub.address import Repository
from corpora.hub.snapshot import model_snapshot
from tests.loopback_hub import LoopbackHub
from tests.reading_hub import QUICK, gz, lines, read_from

COMMIT = "c" * 40
FILE = {"type": "file", "path": "a.jsonl", "size": 3, "oid": "0" * 40}


class Hostile(ThreadingHTTPServer):
    """Answers with what `script` returns for a path: status, headers, pieces of the body."""

    daemon_threads = True

    def __init__(self, script: Callable[[str], tuple[int, dict[str, str], Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.number = 0

    def handle_error(self, *_: object) -> None:
        """The client goes away: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: Hostile

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.server.number += 1
        status, headers, pieces = self.server.script(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()


@pytest.fixture
def hostile(monkeypatch, tmp_path) -> Iterator[Callable[..., Hostile]]:
    """Starts one whose repository is there; `answer(path)` is for everything else."""
    running = []

    def start(answer: Callable[[str], tuple[int, dict[str, str], Any]]) -> Hostile:
        about = json.dumps({"sha": COMMIT}).encode()
        server = Hostile(lambda path: (200, {}, [about]) if "/revision/" in path else answer(path))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secretsecret")
        monkeypatch.setattr(tries, "PATIENCE", QUICK)
        monkeypatch.setattr(client, "pace", pacing.Pace())
        tree.forget()
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def ends(pattern: str = "*.jsonl") -> str:
    """The line in which reading it ends."""
    begun = time.monotonic()
    with pytest.raises(TamizError) as ended:
        [list(read_batches(item)) for item in work_items([f"hf://datasets/me/x/{pattern}"])]
    assert time.monotonic() - begun < 5
    assert "\n" not in str(ended.value)
    assert "secretsecret" not in str(ended.value)
    return str(ended.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"oid": "../../../victim"}, {"oid": "0" * 39}, {"oid": None}, {"lfs": {"oid": "../victim", "size": 3}},
        {"lfs": {"oid": "0" * 64}}, {"lfs": "x"}, {"size": -1}, {"size": None}, {"size": "3"}, {"size": 1.5},
        {"size": True}, {"path": "../../../victim.jsonl"}, {"path": "/victim.jsonl"}, {"path": "a//b.jsonl"},
        {"path": "a\0.jsonl"}, {"path": "./a.jsonl"}, {"path": ""}, {"type": "fhle"},
    ],
    ids=str,
)  # fmt: skip
def test_a_listing_of_what_can_be_no_file_is_refused(hostile, tmp_path, monkeypatch, wrong):
    """Also where the names would become paths of this machine."""
    (tmp_path / "victim").write_text("mine")
    monkeypatch.setenv("TAMIZ_HUB_CACHE", str(tmp_path / "a" / "b"))
    hostile(lambda _: (200, {}, [json.dumps([{**FILE, **wrong}]).encode()]))
    assert "lists what can be no file" in ends()
    with pytest.raises(TamizError, match="lists what can be no file"):
        model_snapshot("me/x", None, lambda names: names)
    assert [path.name for path in tmp_path.rglob("*")] == ["victim"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("circle", "the list goes on"), ("empty", "the list goes on"), ("for ever", "the list goes on"),
        ("broken link", "next page has no address"), ("gone", "can't list"), ("trickle", "and no end"),
        ("huge", "has more than 1,000 bytes"), ("deep", "isn't JSON"), ("redirects", "edirect"),
        ("ftp", "HF_ENDPOINT"), ("gzip", "tried 6 times"), ("retry", "answers 429"), ("left", "answers 429"),
    ],
)  # fmt: skip
def test_a_listing_that_never_ends_or_breaks_off(hostile, monkeypatch, what, said):
    monkeypatch.setattr(client, "MOST_SECONDS", 0.3)
    monkeypatch.setattr(client, "MOST_BYTES", 1000)
    monkeypatch.setattr(tree, "MOST_FILES", 30)

    def answer(path: str) -> tuple[int, dict[str, str], Any]:
        n = server.number
        page = json.dumps([{**FILE, "path": f"{n if what == 'for ever' else 0}.jsonl"}]).encode()
        later = {"Link": f'<{server.url}/api/datasets/me/x/tree/{COMMIT}?{n}>; rel="next"'}
        match what:
            case "circle":
                return 200, {"Link": f'<{server.url}{path}>; rel="next"'}, [page]
            case "empty":
                return 200, later, [b"[]"]
            case "for ever":
                return 200, later, [page]
            case "broken link":
                return 200, {"Link": '<http://[1>; rel="next"'}, [page]
            case "gone":
                return (200, later, [page]) if "?rec" in path else (404, {"X-Error-Code": "EntryNotFound"}, [])
            case "trickle":
                return 200, {}, (time.sleep(0.05) or b" " for _ in range(100))
            case "huge":
                return 200, {}, [b" " * 2000]
            case "deep":
                return 200, {}, [b"[" * 900]
            case "redirects":
                return 302, {"Location": f"{server.url}/api/{n}"}, []
            case "ftp":
                return 302, {"Location": "ftp://127.0.0.1/x"}, []
            case "gzip":
                return 200, {"Content-Encoding": "gzip"}, [b"no gzip"]
            case "retry":
                return 429, {"Retry-After": "\u00b2"}, []
            case _:
                return 429, {"RateLimit": f'"api";r={"9" * 5000};t={"9" * 5000}'}, []

    server = hostile(answer)
    assert said in ends()


@pytest.mark.parametrize("what", ["trickle", "endless", "digits", "encoded", "redirects", "not modified"])
@pytest.mark.parametrize("pattern", ["a.jsonl", "a.parquet"])
def test_a_content_that_never_ends_or_is_none(hostile, monkeypatch, what, pattern):
    """The Parquet file is looked into first."""
    monkeypatch.setattr(tries, "SLOW_SECONDS", 0.1)
    size = 1000

    def answer(path: str) -> tuple[int, dict[str, str], Any]:
        if "/tree/" in path:
            file = {**FILE, "path": pattern, "size": size}
            return 200, {}, [json.dumps([file]).encode()]
        match what:
            case "trickle":
                return 200, {}, (time.sleep(0.05) or b"x" for _ in range(100))
            case "endless":
                return 200, {}, (b"x" * 100_000 for _ in range(10**9))
            case "digits":
                return 206, {"Content-Range": f"bytes {'9' * 5000}-1/1"}, []
            case "encoded":
                return 200, {"Content-Encoding": "gzip"}, [b"x" * size]
            case "not modified":
                return 304, {}, []
            case _:
                return 302, {"Location": f"{server.url}/{server.number}"}, []

    server = hostile(answer)
    assert "can't read hf://" in ends("a.*")


@pytest.mark.parametrize("token", ["hf_secretsecret\x01", "hf_secret\u200bsecret", "hf_secretsecret\u00e9"])
def test_a_token_that_no_header_can_hold_is_not_shown(hostile, monkeypatch, token):
    server = hostile(lambda _: (200, {}, [b"[]"]))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    with pytest.raises(TamizError, match="characters that no token has") as ended:
        work_items(["hf://datasets/me/x/*"])
    assert "secret" not in str(ended.value)
    assert server.number == 0


def test_no_token_goes_to_a_page_of_another_host(hostile):
    server = hostile(lambda _: (200, {}, [b"[]"]))
    hosts = (server.url, "https://127.0.0.1", f"{server.url}9", "http://example.org")
    assert [client._token(f"{host}/api") is not None for host in hosts] == [True, False, False, False]


@pytest.mark.parametrize("name", ["me/x#y", "me/x?y=1", "me/..", "../x", "me/x y", "me/x\n"])
def test_an_address_names_a_repository_or_nothing(hostile, name):
    server = hostile(lambda _: (200, {}, [b"[]"]))
    with pytest.raises(TamizError, match="names no repository"):
        work_items([f"hf://datasets/{name}/*"])
    assert server.number == 0


def test_hashes_in_capitals_and_names_of_all_kinds(monkeypatch, tmp_path):
    names = ["a b.jsonl", "c#d?e.jsonl", "f%2Fg.jsonl", "é.jsonl", "e\u0301.jsonl", f"{'n' * 240}.jsonl", "..h.jsonl"]
    files = {f"x/{name}": lines(n, 2) for n, name in enumerate(names)}
    with LoopbackHub("lfs", tmp_path / "hub") as hub:
        hub.create("dataset", "me/names", files)
        read_from(hub, monkeypatch, tmp_path)
        entry = tree._entry
        monkeypatch.setattr(tree, "_entry", lambda raw: entry({**raw, "oid": raw["oid"].upper()}))
        items = work_items(["hf://datasets/me/names/x/*"])
        found = {i.path.rpartition("/")[2]: [t for b in read_batches(i) for t in b.texts] for i in items}
    assert sorted(found) == sorted(names)
    assert {name: texts[0].split(":")[0] for name, texts in found.items()} == {
        name: f"Documento {n}" for n, name in enumerate(names)
    }


@pytest.mark.parametrize("size", [400_000, 3_000_000])  # below and above what is kept in memory before it is written
@pytest.mark.parametrize("cached", [False, True])
def test_a_disk_that_is_full_says_how_much_it_needs(monkeypatch, tmp_path, size, cached):
    data = b"".join(lines(n, 1) for n in range(size // 400))
    with LoopbackHub("lfs", tmp_path / "hub") as hub:
        hub.create("dataset", "me/x", {"a.jsonl": data})
        read_from(hub, monkeypatch, tmp_path)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        if cached:
            monkeypatch.setenv("TAMIZ_HUB_CACHE", str(tmp_path / "kept"))
        (item,) = work_items(["hf://datasets/me/x/a.jsonl"])
        _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
        try:
            with pytest.raises(TamizError, match=f"can't write a copy of hf://.* needs {len(data):,} bytes"):
                list(read_batches(item))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        last = [text for batch in read_batches(item) for text in batch.texts][-1]
        assert last.startswith(f"Documento {size // 400 - 1}:")


def test_two_that_link_the_same_model(monkeypatch, tmp_path):
    """Threads stand for processes: each must end with the links, whoever made them."""
    from corpora.hub import snapshot

    blob, path = tmp_path / "blobs" / "b", tmp_path / "snapshots" / "s" / "x.json"
    blob.parent.mkdir()
    blob.write_bytes(b"{}")
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)  # both look before either has made it
    for _ in range(2):
        snapshot._link(path, blob)
    assert path.read_bytes() == b"{}"
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]


def test_what_another_process_has_just_finished_is_not_fetched_again(monkeypatch, tmp_path):
    from corpora.hub import cache
    from corpora.hub.remote import RemoteFile

    file = RemoteFile("hf://x", Repository("datasets", "me/x"), COMMIT, "a", 3, "b" * 40)
    (tmp_path / file.tag).write_bytes(b"abc")
    monkeypatch.setattr(cache, "fetch", lambda *_, **__: pytest.fail("fetched again"))
    assert cache._fetched(file, tmp_path / file.tag, tmp_path / f"{file.tag}.part", "") is None
    assert [path.name for path in tmp_path.iterdir()] == [file.tag]


def test_several_that_want_the_same_file_fetch_it_once(monkeypatch, tmp_path):
    with LoopbackHub("lfs", tmp_path / "hub") as hub:
        hub.create("dataset", "me/x", {"a.jsonl.gz": gz(lines(0, 400))})
        read_from(hub, monkeypatch, tmp_path)
        monkeypatch.setenv("TAMIZ_HUB_CACHE", str(tmp_path / "kept"))
        (item,) = work_items(["hf://datasets/me/x/*.gz"])
        hub.fault("get", "slow", seconds=0.4)
        with ThreadPoolExecutor(3) as pool:
            found = [*pool.map(lambda _: sum(len(batch.texts) for batch in read_batches(item)), range(3))]
        assert found == [400] * 3
        assert sum(request.route == "get" for request in hub.requests) == 1
